//! Every message of user authentication: parsed or refused; what parses says the same again.
#![no_main]
use bartizan_ssh::wire::transport::{Disconnect, ExtInfo, KexInit};
use bartizan_ssh::wire::userauth::{InfoRequest, InfoResponse, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(request) = Request::parse(input) {
        let again = request.to_payload();
        assert!(Request::parse(&again).is_ok());
    }
    if let Ok(prompts) = InfoRequest::parse(input) {
        assert!(InfoRequest::parse(&prompts.to_payload()).is_ok());
    }
    let _ = InfoResponse::parse(input);
    let _ = KexInit::parse(input);
    let _ = Disconnect::parse(input);
    if let Ok(info) = ExtInfo::parse(input) {
        info.iter().for_each(drop);
    }
});
