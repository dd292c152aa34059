//! Advice on timeouts, retries, bulkheads, rate limits and breakers, and forecasts of failures, from what journals
//! tell. Reading is in `past_reading`; everything else is pure, and time is an argument.

mod backtest;
mod forecast;
mod journal_observer;
mod latency;
mod observed;
mod past_reading;
mod present;
mod rules;
mod series;
mod setting;
mod verdict;
