//! A server of mailin-embedded that takes everything and keeps nothing.
use mailin_embedded::{Handler, Server, SslConfig};
#[derive(Clone)]
struct Discard;
impl Handler for Discard {}
fn main() {
    let mut args = std::env::args().skip(1);
    let address = args.next().expect("ADDRESS:PORT");
    let threads: u32 = args.next().map_or(128, |n| n.parse().expect("a number"));
    let mut server = Server::new(Discard);
    server.with_name("mailin.example").with_ssl(SslConfig::None).expect("no TLS").with_num_threads(threads).with_addr(address).expect("an address");
    server.serve().expect("served");
}
