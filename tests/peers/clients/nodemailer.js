// node nodemailer.js ADDRESS:PORT CONNECTIONS MESSAGES OCTETS: sends by a pool of nodemailer. NODE_PATH has the module.
"use strict";
const nodemailer = require("nodemailer");
const [target, ...numbers] = process.argv.slice(2);
const [host, port] = target.split(":");
const [connections, messages, octets] = numbers.map(Number);

const parts = ["From: <ada@client.example>\r\nTo: <bob@mx.example>\r\nSubject: measured\r\n\r\n"];
for (let length = parts[0].length; length + 2 < octets; length += parts[parts.length - 1].length) {
    parts.push("x".repeat(Math.min(octets - length - 2, 70)) + "\r\n");
}
const raw = Buffer.from(parts.join(""));
const envelope = { from: "ada@client.example", to: ["bob@mx.example"] };
const pool = nodemailer.createTransport({
    host, port: Number(port), name: "client.example", secure: false, ignoreTLS: true,
    pool: true, maxConnections: connections, maxMessages: Infinity,
});

async function send(count) {
    for (let i = 0; i < count; i++) {
        await pool.sendMail({ envelope, raw });
    }
}

async function main() {
    await Promise.all(Array.from({ length: connections }, () => send(1)));
    const began = process.hrtime.bigint();
    const share = (i) => Math.floor(messages / connections) + (i < messages % connections ? 1 : 0);
    await Promise.all(Array.from({ length: connections }, (_, i) => send(share(i))));
    console.log(messages, (Number(process.hrtime.bigint() - began) / 1e9).toFixed(6));
    pool.close();
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
