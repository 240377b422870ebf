// nodemailer.js PORT starttls|implicit|"" MECHANISM|"" USER PASSWORD CA: sends what it reads, by nodemailer.
const fs = require("fs");
const nodemailer = require("nodemailer");

const [port, tls, mechanism, user, pass, ca] = process.argv.slice(2);
const transport = nodemailer.createTransport({
	host: "localhost",
	port: Number(port),
	name: "client.example",
	secure: tls === "implicit",
	requireTLS: tls === "starttls",
	ignoreTLS: tls === "",
	tls: { ca: fs.readFileSync(ca) },
	authMethod: mechanism || undefined,
	auth: mechanism ? { user, pass } : undefined,
});

transport.sendMail({
	envelope: { from: "a@sender.example", to: "u@dest.example" },
	raw: fs.readFileSync(0),
}).catch((error) => {
	console.error(error);
	process.exitCode = 1;
});
