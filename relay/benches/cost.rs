//! What things cost, to be looked at: `cargo bench -p macloud-relay`.
//! Everything shares one process and pipes without TLS, so the figures are upper bounds of the relay's own share and
//! good for comparing two versions, not for capacity planning.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "made to be read; it may fail loudly")]

use std::time::{Duration, Instant};

use cloud::{Cloud, HomeKey, delivered, dispatch};

#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "the tests use the rest")]
#[path = "../tests/it/cloud.rs"]
mod cloud;

#[tokio::main(worker_threads = 2)]
async fn main() {
    commands().await;
    idle_connections().await;
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    ticks * 10_000
}

async fn commands() {
    let cloud = Cloud::start_with(|config| config.max_commands_per_minute = u32::MAX).await;
    let key = HomeKey::new(1);
    cloud.home_with(&key, 512).await.serve();
    let (mut stream, _) = cloud.stream().await;
    for in_flight in [1u64, 16, 64] {
        let (count, cpu, start) = (20_000u64, cpu_micros(), Instant::now());
        let mut times = Vec::with_capacity(count as usize);
        let mut sent_at = std::collections::HashMap::new();
        let mut next = 0u64;
        let mut busy = 0;
        for _ in 0..in_flight {
            sent_at.insert(next, Instant::now());
            stream.call(next, numbered(&key, in_flight << 32 | next));
            next += 1;
        }
        while (times.len() as u64) < count {
            let (correlation, outcome) = stream.answer().await;
            busy += u64::from(matches!(outcome, macloud_proto::bus::v1::answer::Outcome::NotSent(_)));
            times.push(sent_at.remove(&correlation).unwrap().elapsed());
            sent_at.insert(next, Instant::now());
            stream.call(next, numbered(&key, in_flight << 32 | next));
            next += 1;
        }
        for _ in 0..in_flight {
            stream.answer().await;
        }
        times.sort();
        let at = |part: f64| times[(times.len() as f64 * part) as usize].as_micros();
        let rate = count as f64 / start.elapsed().as_secs_f64();
        let cpu = (cpu_micros() - cpu) as f64 / count as f64;
        println!(
            "{in_flight:3} in flight: p50 {} us, p99 {} us, {rate:.0}/s, {cpu:.1} us CPU each for everything, {busy} refused",
            at(0.5),
            at(0.99),
        );
    }
}

fn numbered(key: &HomeKey, number: u64) -> macloud_proto::bus::v1::Call {
    let mut call = dispatch(key, 0, Duration::from_secs(5));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    let body =
        macloud_proto::bus::v1::Dispatch { command_id: id.to_vec().into(), sealed: vec![0; 1024].into(), class: 0 };
    call.body = Some(macloud_proto::bus::v1::call::Body::Dispatch(body));
    call
}

async fn idle_connections() {
    let cloud = Cloud::start().await;
    let key = HomeKey::new(1);
    cloud.home(&key).await.serve();
    assert_eq!(cloud.command(&key, 1, Duration::from_secs(1)).await, delivered(1));
    let (before, cpu) = (resident_kib(), cpu_micros());
    let mut homes = Vec::new();
    let count = 2_000u32;
    for number in 0..count {
        let mut key = HomeKey::new(2);
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        key.instance = macloud_proto::ids::InstanceId::from_bytes(&bytes);
        homes.push(cloud.home(&key).await);
    }
    let (memory, cpu) = (resident_kib() - before, cpu_micros() - cpu);
    println!(
        "{:.1} KiB for each idle connection, both ends and their pipe; {:.0} us CPU for each connect, both ends and two requests",
        memory as f64 / f64::from(count),
        cpu as f64 / f64::from(count)
    );
}
