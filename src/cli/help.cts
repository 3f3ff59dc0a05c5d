const TEXT = `koa-probes probe <kind> [<way>] [options]   Request a probe. Exit code 0: passed; 1: failed; 2: wrong usage.
koa-probes list --app <module> [--json]     Show the probes, where their settings come from, and how they are answered.
koa-probes openapi [<paths>]                Print an OpenAPI 3.1 description of the endpoints, as JSON.
koa-probes manifest --app <module>          Print the probes, the grace period and the rest that a pod spec needs, as YAML.
koa-probes lint <files> [--app <module>]    Check pod specs. Exit code 0: no errors; 1: errors; 2: wrong usage or an unreadable file.

Kinds
  -L, --live       liveness (/livez)
  -R, --ready      readiness (/readyz)
  -H, --health     liveness by its other name (/healthz)
  -S, --startup    startup (/startupz)

Ways to reach the probes
  --socket <path>          the UNIX socket of \`probeServer(probes, { socket })\`
  --url <url>              the address of the application, with the prefix of its paths if it has one
  --heartbeat <directory>  the files of \`probeHeartbeat(probes, { directory })\`
  --heartbeat '<directory pattern>' --min <n>
                           the files of several processes: passes if at least n matching directories have a valid file
  --app <module>           no running application: import the module and run its probes in this process. It exports a ProbeRegistry,
                           a Container or a function that returns one of them, as \`probes\`, \`container\` or by default
  Default: PROBE_SOCKET, or else PROBE_URL, or else http://127.0.0.1:$PORT.

Paths of openapi, as in the option \`paths\`; several are separated by commas
  --liveness-paths <paths>   /livez,/healthz by default
  --readiness-paths <paths>  /readyz by default
  --startup-paths <paths>    /startupz by default

Options of manifest
  --exec                    exec probes that run this command, over the socket, the heartbeat or the port of the application
  --socket <path>           exec probes over this socket, if the module does not set it up
  --heartbeat <directory>   exec probes over this heartbeat, if the module does not set it up
  --command <path>          path of this command in the image (/app/node_modules/.bin/koa-probes)
  --port <port>             the port of the application's own server, if the module does not listen
  --startup-seconds <n>     how long the application may take to start (60)
  --container <name>        name of the container (app)
  --patch <kind>/<name>     a strategic merge patch for a deployment, statefulset or daemonset
  --kustomize <kind>/<name> the same patch in a component of Kustomize

Options of lint
  -                         read the standard input, for example from \`helm template\`
  --app <module>            check the files against this application too
  --container <name>        the container that runs the application
  --rule <name>=<severity>  off, warn or error for one rule; may be repeated
  --format <format>         text (default), json, github or sarif
  --fix                     correct the files where the correction is mechanical

Options
  --timeout <seconds>  limit for the whole command, from the start of the process (probe: 0.9, all others: 30)
  -q, --quiet          print nothing
  -v, --verbose        print a line for each check
  -h, --help           show this help
  --version            show the version
`;

export = { TEXT };
