//! The grammar line by line: forms that the RFCs show, and forms that they do not allow.

mod addresses;
mod commands;
mod mail;
mod rcpt;
