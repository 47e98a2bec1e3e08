//! Every message of the connection protocol: parsed or refused; what parses says the same again.
#![no_main]
use bartizan_ssh::wire::connection::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(message) = Message::parse(input) {
        let again = message.to_payload();
        assert_eq!(Message::parse(&again).as_ref(), Ok(&message));
    }
});
