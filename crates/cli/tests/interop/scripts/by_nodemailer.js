// Sends the message on the standard input by nodemailer, as the JSON in the first argument says.

const order = JSON.parse(process.argv[2]);
const transport = require('nodemailer').createTransport({
    host: '127.0.0.1',
    port: order.port,
    name: 'client.example',
    secure: order.tls,
    requireTLS: order.starttls,
    ignoreTLS: !order.starttls,
    tls: { rejectUnauthorized: false },
    lmtp: order.lmtp,
    auth: order.mechanism ? { user: order.user, pass: order.password } : undefined,
    authMethod: order.mechanism || undefined,
});
const chunks = [];
process.stdin.on('data', chunk => chunks.push(chunk));
process.stdin.on('end', async () => {
    const result = await transport.sendMail({
        envelope: { from: order.from, to: order.to, use8BitMime: true },
        raw: Buffer.concat(chunks),
        dsn: order.dsn
            ? { id: 'interop+1', return: 'headers', notify: ['success', 'failure'], recipient: 'rfc822;list+dev@lists.example' }
            : undefined,
    });
    if (result.accepted.length !== order.to.length) {
        throw new Error(JSON.stringify(result));
    }
});
