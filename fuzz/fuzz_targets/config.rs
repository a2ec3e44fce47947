//! A configuration file is loaded or refused with a message, never with a panic; what was loaded can
//! be printed and loaded again to the same, unless something of it is not shown.
#![no_main]

use hybridge::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Config::parse("fuzz.toml", text) {
        Ok(config) => {
            let printed = config.to_string();
            // The path of a collector's URL, and values of probe headers, may be secrets.
            if printed.contains("not shown") {
                return;
            }
            let again = Config::parse("fuzz.toml", &printed);
            let again = again.unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(printed, again.to_string());
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
});
