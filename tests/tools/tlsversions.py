"""Which versions of TLS one side of a test takes."""
import ssl
import warnings

V10, V11, V12, V13 = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
NEWEST = ssl.TLSVersion.MAXIMUM_SUPPORTED


def limit(context, low=V12, high=NEWEST):
    """Old ones, too, of which Python warns: where they are taken, the test is about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = low, high
