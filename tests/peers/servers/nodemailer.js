// The discarding server of nodemailer's smtp-server.
const { SMTPServer } = require('smtp-server');
new SMTPServer({
  authOptional: true, disabledCommands: ['AUTH', 'STARTTLS'], disableReverseLookup: true, logger: false,
  onData(stream, session, done) { stream.on('data', () => {}); stream.on('end', () => done()); },
}).server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
