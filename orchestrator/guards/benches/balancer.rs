//! What picking an endpoint costs: `cargo bench -p saga-guards --bench balancer`.

use criterion::{Criterion, criterion_group, criterion_main};
use saga_guards::{
    MonotonicTime,
    balancer::{BalancingStrategy, EjectionConfig, EndpointVerdict, LoadBalancer},
};
use std::{hint::black_box, num::NonZeroU32};

fn picks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("balancer");
    let strategies = [
        ("in turn", BalancingStrategy::RoundRobin),
        ("least connections", BalancingStrategy::LeastConnections),
        ("random", BalancingStrategy::Random),
    ];
    for count in [1, 3, 16] {
        for (name, strategy) in strategies {
            let mut balancer =
                LoadBalancer::new(&vec![NonZeroU32::MIN; count], strategy, Some(EjectionConfig::default()));
            let now = MonotonicTime::default();
            let mut random = 7u64;
            group.bench_function(format!("{name}, {count} endpoints"), |bencher| {
                bencher.iter(|| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let pick = balancer.pick(now, random, None);
                    black_box(balancer.done(pick, EndpointVerdict::Succeeded, now))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, picks);
criterion_main!(benches);
