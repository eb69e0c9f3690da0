//! Generates the message types, and the gRPC stubs when feature `grpc` is on, without needing protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "proto/macloud/link/v1/link.proto",
        "proto/macloud/bus/v1/bus.proto",
        "proto/macloud/nodes/v1/nodes.proto",
        "proto/macloud/accounts/v1/accounts.proto",
    ];
    println!("cargo::rerun-if-changed=proto");
    let grpc = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        .build_transport(false)
        .bytes(".")
        .compile_fds(protox::compile(files, ["proto"])?)?;
    Ok(())
}
