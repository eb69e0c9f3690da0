//! Generates the message types of the vocabulary, without needing protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .build_transport(false)
        .compile_fds(protox::compile(["proto/macloud/home/v1/home.proto"], ["proto"])?)?;
    Ok(())
}
