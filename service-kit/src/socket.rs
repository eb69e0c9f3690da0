//! What a TCP connection is asked for beyond what Tokio asks.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// Have the connection given up when its peer has not acknowledged what was sent for this long (`TCP_USER_TIMEOUT`), or
/// has not made room for more. Without it Linux keeps trying for about a quarter of an hour after a peer has vanished.
/// Does nothing where the operating system has no such setting.
///
/// # Errors
/// When the operating system refuses. The connection works all the same.
pub fn set_user_timeout(socket: &impl AsFd, limit: Duration) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(socket).set_tcp_user_timeout(Some(limit))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (socket, limit);
    Ok(())
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_operating_system_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        set_user_timeout(&socket, Duration::from_millis(12_345)).unwrap();
        let told = socket2::SockRef::from(&socket).tcp_user_timeout().unwrap();
        assert_eq!(told, Some(Duration::from_millis(12_345)));
    }
}
