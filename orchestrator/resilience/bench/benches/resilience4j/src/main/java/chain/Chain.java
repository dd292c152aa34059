package chain;

import static io.github.resilience4j.circuitbreaker.CircuitBreakerConfig.SlidingWindowSynchronizationStrategy.LOCK_FREE;
import static io.github.resilience4j.circuitbreaker.CircuitBreakerConfig.SlidingWindowType.COUNT_BASED;
import static io.github.resilience4j.circuitbreaker.CircuitBreakerConfig.SlidingWindowType.TIME_BASED;

import io.github.resilience4j.bulkhead.Bulkhead;
import io.github.resilience4j.bulkhead.BulkheadConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.decorators.Decorators;
import io.github.resilience4j.ratelimiter.RateLimiter;
import io.github.resilience4j.ratelimiter.RateLimiterConfig;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** What Resilience4j costs around a call that does nothing, to be read beside {@code chain.rs}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class Chain {
    private final Supplier<Integer> call = () -> 1;
    private CircuitBreaker open;
    private Supplier<Integer> breakerOf100Calls;
    private Supplier<Integer> breakerOf30Seconds;
    private Supplier<Integer> bulkhead;
    private Supplier<Integer> rateLimiter;
    private Supplier<Integer> breakerAndBulkhead;
    private Supplier<Integer> breakerRateAndBulkhead;

    @Setup
    public void build() {
        CircuitBreaker ofCalls = breaker(100, COUNT_BASED);
        CircuitBreaker ofSeconds = breaker(30, TIME_BASED);
        Bulkhead places = Bulkhead.of(
                "places", BulkheadConfig.custom().maxConcurrentCalls(64).maxWaitDuration(Duration.ZERO).build());
        RateLimiter rate = RateLimiter.of(
                "rate",
                RateLimiterConfig.custom()
                        .limitForPeriod(2_000_000_000)
                        .limitRefreshPeriod(Duration.ofSeconds(1))
                        .timeoutDuration(Duration.ZERO)
                        .build());
        open = CircuitBreaker.ofDefaults("open");
        open.transitionToForcedOpenState();
        breakerOf100Calls = CircuitBreaker.decorateSupplier(ofCalls, call);
        breakerOf30Seconds = CircuitBreaker.decorateSupplier(ofSeconds, call);
        bulkhead = Bulkhead.decorateSupplier(places, call);
        rateLimiter = RateLimiter.decorateSupplier(rate, call);
        breakerAndBulkhead =
                Decorators.ofSupplier(call).withBulkhead(places).withCircuitBreaker(ofSeconds).decorate();
        breakerRateAndBulkhead = Decorators.ofSupplier(call)
                .withBulkhead(places)
                .withRateLimiter(rate)
                .withCircuitBreaker(ofSeconds)
                .decorate();
    }

    private static CircuitBreaker breaker(int window, CircuitBreakerConfig.SlidingWindowType type) {
        CircuitBreakerConfig config =
                CircuitBreakerConfig.custom().slidingWindow(window, 10, type, LOCK_FREE).build();
        return CircuitBreaker.of(type.name(), config);
    }

    @Benchmark
    public Integer nothing() {
        return call.get();
    }

    @Benchmark
    public Integer breakerOf100Calls() {
        return breakerOf100Calls.get();
    }

    @Benchmark
    public Integer breakerOf30Seconds() {
        return breakerOf30Seconds.get();
    }

    @Benchmark
    public Integer bulkheadOf64() {
        return bulkhead.get();
    }

    @Benchmark
    public Integer rateLimiter() {
        return rateLimiter.get();
    }

    @Benchmark
    public Integer breakerAndBulkhead() {
        return breakerAndBulkhead.get();
    }

    @Benchmark
    public Integer breakerRateAndBulkhead() {
        return breakerRateAndBulkhead.get();
    }

    @Benchmark
    public boolean refusedByForcedOpen() {
        return open.tryAcquirePermission();
    }
}
