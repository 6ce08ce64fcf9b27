# shellcheck shell=bash
# Some tests ask PostgreSQL itself. Where no server answers, a private one runs until the checks end.

postgres_answers() {
  command -v psql >/dev/null &&
    PGCONNECT_TIMEOUT=5 psql --no-psqlrc -h "${PGHOST:-127.0.0.1}" -d "${PGDATABASE:-postgres}" \
      -c 'select 1' >/dev/null 2>&1
}

# as_postgres <command…>: the server refuses to run as root.
as_postgres() {
  if ((EUID == 0)); then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

newest_postgres() { printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1; }

start_postgres() {
  local folder="$1"
  if [[ ! -x "$(newest_postgres)/initdb" ]] && ((EUID == 0)); then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy postgresql || return
  fi
  postgres_bin="$(newest_postgres)"
  mkdir -p "$folder"
  if ((EUID == 0)); then
    chmod a+rx "$(dirname "$folder")"
    chown postgres "$folder"
  fi
  export PGHOST=127.0.0.1 PGPORT=54329 PGUSER=postgres PGDATABASE=postgres
  as_postgres "$postgres_bin/initdb" -D "$folder/data" -U postgres -A trust >/dev/null || return
  as_postgres "$postgres_bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
    -o "-p $PGPORT -c listen_addresses=$PGHOST -c fsync=off -k $folder" start >/dev/null || return
  postgres_data="$folder/data"
}

stop_postgres() {
  if [[ -n "${postgres_data:-}" ]]; then
    as_postgres "$postgres_bin/pg_ctl" -D "$postgres_data" -m immediate stop >/dev/null
  fi
}
