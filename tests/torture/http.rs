//! What clients and upstreams do at their worst, over both HTTP versions: slow readers at a drain,
//! windows of zero, floods of interim responses, one request written in two grammars.

mod drains;
mod drains_opaque;
mod early;
mod frames;
mod gone;
mod grammar;
mod heads;
mod interim;
mod memory;
mod pings;
mod refusals;
mod signed;
mod slow_upstreams;
mod stalls;
mod upstreams;
mod windows;
