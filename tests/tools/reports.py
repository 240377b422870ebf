"""Takes a report apart with Python's own library, as any program that reads reports would."""
import email
import email.policy


class Report:
    """parts: types of the three; about: fields of the message; recipients: of each, by address."""

    def __init__(self, data):
        self.mail = email.message_from_bytes(data, policy=email.policy.default)
        assert not self.mail.defects, self.mail.defects
        assert self.mail.get_content_type() == "multipart/report"
        assert self.mail.get_param("report-type") == "delivery-status"
        self.explanation, self.status, self.original = self.mail.iter_parts()
        self.parts = [p.get_content_type() for p in self.mail.iter_parts()]
        assert not [d for p in self.mail.walk() for d in p.defects]
        self.subject = self.mail["Subject"]
        self.text = self.explanation.get_content().replace("\r\n", "\n")
        blocks = self.blocks()
        self.about = blocks[0]
        self.recipients = {b["Final-Recipient"].partition("; ")[2]: b for b in blocks[1:]}
        assert len(self.recipients) == len(blocks) - 1 > 0

    def blocks(self):
        """[{field: value}]"""
        if self.status.get_content_type() == "message/delivery-status":
            return [dict(b) for b in self.status.get_payload() if b.keys()]
        # The library knows nothing of the type of RFC 6533.
        text = self.status.as_bytes(policy=email.policy.SMTPUTF8).partition(b"\r\n\r\n")[2].decode()
        return [dict(line.split(": ", 1) for line in block.split("\r\n"))
                for block in text.strip().split("\r\n\r\n")]

    def actions(self):
        return {a: b["Action"] for a, b in self.recipients.items()}

    def given_back(self):
        """Header or message, without the blank lines at its end."""
        text = self.original.as_bytes(policy=email.policy.SMTP).partition(b"\r\n\r\n")[2]
        return text.decode().strip()
