const TEXT = `koa-probes probe <kind> [<way>] [options]   Ask for the probes. Exit code 0: passed; 1: failed; 2: wrong usage.
koa-probes list --app <module> [--json]     Show the probes, and where each of their settings comes from.
koa-probes openapi [<paths>]                Print an OpenAPI 3.1 description of the endpoints, as JSON.

Kinds
  -L, --live       liveness (/livez)
  -R, --ready      readiness (/readyz)
  -H, --health     liveness by its other name (/healthz)
  -S, --startup    startup (/startupz)

Ways
  --socket <path>          the UNIX socket of \`probeServer(probes, { socket })\`
  --url <url>              the application's own address, with a prefix before the paths where there is one
  --heartbeat <directory>  the files of \`probeHeartbeat(probes, { directory })\`
  --heartbeat '<directory pattern>' --min <n>
                           the files of several processes: passes if at least n of the directories that match have a good one
  --app <module>           none that runs: import the module and run its probes in this process. It exports a ProbeRegistry,
                           a Container or a function that returns one of them, as \`probes\`, \`container\` or by default
  Without one: PROBE_SOCKET, else PROBE_URL, else http://127.0.0.1:$PORT.

Paths of openapi, as in the option \`paths\`; several are separated by commas
  --liveness-paths <paths>   /livez,/healthz by default
  --readiness-paths <paths>  /readyz by default
  --startup-paths <paths>    /startupz by default

Options
  --timeout <seconds>  for everything, from the start of the process on (probe: 0.9, list: 30)
  -q, --quiet          say nothing
  -v, --verbose        say a line a check
  -h, --help           show this
  --version            show the version
`;

export = { TEXT };
