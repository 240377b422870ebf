/*
 * event: what the log tells: kinds of events, and the fields of one.
 *
 * The table of kinds: the name, by which the code and the field EVENT call it; the MESSAGE_ID of
 * the journal, by which `journalctl -x` finds its text in units/postern.catalog; and what happened.
 * A MESSAGE_ID never changes, and none is used again. docs/LOG.md is for readers
 * (tests/lint/test_log_table.py).
 */
#ifndef POSTERN_EVENT_H
#define POSTERN_EVENT_H

#include <stdbool.h>

enum { EVENT_ID = 32 }; /* octets of a MESSAGE_ID */

#define EVENT_TABLE(E) \
	E(connected, "02811d736f49412da477b90e1b28cad5", \
		"smtpd: a client came") \
	E(disconnected, "00d20fe23d144cdf8aafef25e3bcca7a", \
		"smtpd: a client has gone; only with log_format postfix or json") \
	E(accepted, "711afc48fd2a4394a4663dee67fcd8e0", \
		"smtpd: a message was queued, and 250 was said") \
	E(rewritten, "c1eb436a41b149c683181b36508f6b95", \
		"smtpd: addresses of a message that was submitted are not as they were written") \
	E(refused, "b59e9dde4ecd4a3dbe7cb9f21f565445", \
		"smtpd: a command, a message or a connection of a client was refused") \
	E(relay_denied, "f2459e0a15004d1db1f4ad91746df064", \
		"smtpd: a recipient was refused, for the client may not send there") \
	E(auth_failed, "6f6bc7d9776142dba9c5b9ea781a8f4b", \
		"smtpd: a client gave a wrong name or password") \
	E(too_many_errors, "86ad606bb89746f1b93d4d0c91719f91", \
		"smtpd: a client was sent away after too many errors") \
	E(lost, "b7d5c90048e44dfe921144b61007ed05", \
		"smtpd: a client was gone in the middle") \
	E(authenticated, "bd3c22ba97ae41ee950ad80b2427a2ca", \
		"smtpd: a client proved which user it is") \
	E(tls, "a7ca7b3e96134a4d80f8b48a9e6a6934", \
		"smtpd: a client speaks TLS") \
	E(tls_failed, "3b9f3a888dea41e6a9fd6b30b6513c58", \
		"smtpd, tls: a handshake with a client came to nothing") \
	E(certificate, "a3aaede8e16d44d399571de3f1a0e63e", \
		"tls: the certificate or its key cannot be used") \
	E(auth, "ae116fa1e51d4445b78930e9feda421b", \
		"auth: passwords cannot be checked") \
	E(check, "c745af90743845e5a8684f8de3056754", \
		"smtpd: recipient_check or sender_check did not answer in order") \
	E(delivered, "18a876363b184324828a3b94e7e2dd74", \
		"relay: a host took a message for a recipient") \
	E(deferred, "96d68b2479df416db1e51f314f22b4ab", \
		"relay: a recipient waits for the next attempt") \
	E(bounced, "c962c6761f224235b5d1a2bd0af0cd84", \
		"relay, postern: a recipient has failed for good") \
	E(report, "d656638814a443e0b85781c391494c28", \
		"relay, postern: the sender of a message is told, or nobody is") \
	E(held, "606a1038c18945f2ac30ffc35e3cb06f", \
		"postern: a message was taken out of its lane, and waits to be released") \
	E(released, "091d724f035d42088bd0c9f37b990e51", \
		"postern: a message that was held is in its lane again") \
	E(removed, "1a4cc947ef20411f960bda4fc1d7d83a", \
		"postern: a message was thrown away") \
	E(lane_deferred, "71f7ac7bd5b7487bb57a2dfe37986c32", \
		"relay: no host of a lane could be used; all of its mail waits") \
	E(host_connected, "60229809d8a24ea597d636f5c125788b", \
		"relay: connected to a host") \
	E(host_refuses, "5070a41a4a5c4c569330ce8735c65cbe", \
		"relay: a host refuses us, and not the mail") \
	E(login_refused, "58f6831ea4564a6eb260630ec0b769a6", \
		"relay: a host refused our name and password") \
	E(clear, "1349a1dd45c84918a682736d871da83e", \
		"relay: TLS with a host does not work, and the policy allows to go without") \
	E(moved, "26a5d88ac7744e289b98844e7af13ddb", \
		"relay: the next host is to have a message") \
	E(doubt, "0350b457a38541eea55dddb185c74ced", \
		"relay: the answer to a message was lost; it may come twice") \
	E(crash, "c3eb3311b0b14a7c96e984dd5a1d171b", \
		"relay: a relay died; what it had in hand is tried alone") \
	E(courier, "cfa12ad607864e53befca4ca1343e862", \
		"relay: one more connection cannot be made") \
	E(crowded, "e23617041cf4433bb108659b2b5e2b47", \
		"relay: all connections are in use, and mail waits for one") \
	E(aside, "db291fea648b47038535c38c495d7a7b", \
		"relay: a file that is no whole message was moved to aside/") \
	E(spool, "cb25a6baef5b491fa65ec428bddefeb9", \
		"the spool cannot be read or written") \
	E(resolver, "e6e2d7b973a3497fafb998c45cc266b0", \
		"relay: a nameserver cannot be used, or not for DANE") \
	E(dkim, "b3aa9492767f40f495ad4f28fd9a859b", \
		"relay, sign: mail cannot be signed") \
	E(sts, "24e7efa731e84a3a8f3adc2028b48d07", \
		"relay, fetch: a policy of MTA-STS is in force, or cannot be had") \
	E(tls_report, "1e0326c9f3c24958ad6dfd6e721c7241", \
		"relay, postern-tlsreport: a report on TLS goes out, or cannot, or lacks a part") \
	E(files, "177a115b233a43c1baf8bf47fbd98664", \
		"relay: too few open files for max_connections") \
	E(counters, "ac189b9ecec44e9db923ed767e9cdcff", \
		"relay, postern-status: it does not count") \
	E(limits, "666fd38f0cb44397a801ec5539744bc5", \
		"smtpd: it does not count, and limit_ keys are not in force") \
	E(launch, "66b5d81ec2da4b3bab28e4779d18158d", \
		"a program cannot be started") \
	E(crashed, "1a8de14938a742ccb424c0b4f9e17e62", \
		"smtpd, auth: a process of ours ended by a signal") \
	E(killed, "04ab241af39341288456da8e76ff48db", \
		"smtpd: a process of ours was ended because it did what none does") \
	E(sandbox, "3f7a28fc310a48f0882ca5ebcaed5db5", \
		"this kernel or container lacks something to lock a process in") \
	E(configuration, "e257ef5ff0da45fc8ae5dddf56e8fe62", \
		"the configuration is wrong, or doubtful") \
	E(renewed, "a747e913c6f24d97a9890e990ef23124", \
		"smtpd: a newer smtpd takes over") \
	E(failed, "2b32667c6a1346d7bc16f77bd4fb9f98", \
		"a program cannot begin")

/* The MESSAGE_ID of this name, EVENT_ID octets and NUL; NULL: there is no such kind. */
const char *event_id(const char *name);

/*
 * Fields of an event: name here and in JSON, name in the journal behind "POSTERN_", is it a number,
 * what it is. docs/LOG.md is for readers (tests/lint/test_log_table.py).
 */
#define LOG_FIELD_TABLE(F) \
	F(event, EVENT, false, "the kind of event") \
	F(queue_id, QUEUE_ID, false, \
		"of the message; in a refusal that of the one that is coming") \
	F(client, CLIENT, false, \
		"the client: [192.0.2.1], [IPv6:2001:db8::1], local, uid=33 or unknown") \
	F(helo, HELO, false, "what the client called itself") \
	F(protocol, PROTOCOL, false, "SMTP or ESMTP, as it greeted") \
	F(user, USER, false, "who the client proved to be by AUTH") \
	F(mechanism, MECHANISM, false, "of AUTH") \
	F(tls, TLS, false, \
		"version and cipher of the connection; to a host also what it is trusted for") \
	F(sender, SENDER, false, "of the envelope") \
	F(recipient, RECIPIENT, false, "of the envelope") \
	F(recipients, RECIPIENTS, true, "how many the message has") \
	F(message_id, MESSAGE_ID, false, "Message-ID of the header, without <>") \
	F(size, SIZE, true, "of the message, octets") \
	F(command, COMMAND, false, "what the client said, or where in the conversation it was") \
	F(lane, LANE, false, "in which the mail is") \
	F(relay, RELAY, false, "the host: name[address]:port") \
	F(status, STATUS, false, "code of our reply; of a delivery, the enhanced status code") \
	F(reply, REPLY, false, "the words of it, the host's or ours") \
	F(delay, DELAY, true, "from MAIL until now, s") \
	F(next_try, NEXT_TRY, true, "until the next attempt, s") \
	F(report, REPORT, false, "queue id of the report")

/* NULL: left out. Numbers are decimal texts, too. */
struct log_fields {
#define LOG_FIELD(name, NAME, number, meaning) const char *name;
	LOG_FIELD_TABLE(LOG_FIELD)
#undef LOG_FIELD
};

#endif
