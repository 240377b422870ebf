# dkim-verify.pl PORT FILE...: for each file a line with a JSON list of the results of its signatures,
# as Mail::DKIM sees them; names are looked up on 127.0.0.1:PORT.
use strict;
use warnings;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;
use Net::DNS::Resolver;

my $port = shift;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $port, recurse => 1));
for my $name (@ARGV) {
	open my $file, '<:raw', $name or die "$name: $!";
	local $/;
	my $verifier = Mail::DKIM::Verifier->new();
	$verifier->PRINT(<$file>);
	$verifier->CLOSE;
	print '[', join(', ', map { '"' . $_->result . '"' } $verifier->signatures), "]\n";
}
