//! Both machines, against each other and against every message.

mod both;
mod client;
mod helpers;
mod lessons;
mod orders;
mod publickey;
mod server;
