#pragma once
// The configuration as typed, immutable values. `load` (config/load.h) makes it from TOML or reports every fault at
// once.
//
// Paths in here are absolute: relative ones in the file are taken from the file's folder. Durations are milliseconds,
// sizes are bytes. Every default stands here, once; docs/configuration.md repeats them and a test compares the two.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/path_walk.h"

namespace fivefold::config {

using fivefold::Symlinks;

using std::chrono::milliseconds;
using namespace std::chrono_literals;

// Where in which file a value stands, for messages: "fivefold.toml:12:3".
struct Position {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// One address to listen on.
struct Listen {
  std::string address;     // as written: "127.0.0.1:8080", "[::1]:8080", "*:80", "unix:/run/x.sock"
  std::string host;        // "127.0.0.1"; "" for every address; empty with a unix path
  std::uint16_t port = 0;  // 0: the kernel picks one
  std::string unix_path;   // set for unix sockets
  std::uint32_t unix_mode = 0666;
  bool proxy_protocol = false;  // every connection begins with a PROXY header, v1 or v2
  std::uint32_t backlog = 4096;
  Position position;
};

struct HttpLimits {
  std::size_t request_line = 8192;  // over it: 414
  std::size_t head = 32768;         // whole request head; over it: 431
  std::size_t fields = 100;         // header fields of a request; over it: 431
  std::uint64_t body = 1ull << 30;  // request body; over it: 413
  std::size_t connections =
      100000;  // open client connections of the whole server; over it new ones wait in the backlog
  std::size_t requests_per_connection = 0;  // 0: no limit
};

struct HttpTimeouts {
  milliseconds head = 10s;   // from the first byte of a request to the end of its head
  milliseconds body = 30s;   // silence while a request body is awaited
  milliseconds idle = 60s;   // a kept-alive connection without a request
  milliseconds send = 30s;   // a client that takes no byte of a response
  milliseconds linger = 2s;  // how long unread input is drained after an error answer before the close
  milliseconds drain = 30s;  // requests in flight when the server stops
};

enum class ErrorDetail : std::uint8_t {
  page,
  id
};  // what an error page shows: the whole story, or only an id to look up

enum class LogFormat : std::uint8_t { combined, json };

struct CompressionSettings {
  bool enabled = true;
  std::size_t min_size = 1024;
  std::vector<std::string> types = {};  // media types, "text/*" allowed; empty: the built-in list (http/media_type.h)
  int gzip_level = 5;
  int br_level = 4;
  int zstd_level = 3;
};

struct OpenFileCache {
  std::size_t entries = 4096;             // 0 turns the cache off
  std::size_t content = 128 * 1024;       // files up to this size are kept in memory
  std::size_t memory = 64 * 1024 * 1024;  // of all kept contents, per event loop
  milliseconds valid =
      1s;  // an entry is looked at again after this long (changes are noticed at once where inotify works)
};

struct Server {
  std::vector<Listen> listen = {};  // empty: 127.0.0.1:8080
  std::uint32_t threads = 0;        // event loops; 0: one per core
  std::uint32_t spawners = 0;       // spawning helpers; 0: one per two cores, at least one
  std::string user = {};            // when started as root; empty: "www-data" if it exists, else "nobody"
  std::string group = {};           // empty: the user's group
  std::string access_log = "-";     // "-" standard output, "off" none, else a path
  LogFormat access_format = LogFormat::combined;
  std::string log = "-";           // the server's own log: "-" standard error, or a path
  std::string log_level = "info";  // debug, info, warning, error
  std::string program_logs = {};   // folder for NAME.log of each program's stderr; empty: the server's own log
  // A log file of this many bytes is renamed to NAME.1, and log_keep of those are kept; 0: never. Left out: 100 MB for
  // program_logs, never for the others.
  std::optional<std::uint64_t> log_max_size = {};
  std::uint32_t log_keep = 5;
  std::string control = {};                // control socket path; empty: a default per user (see docs)
  std::vector<std::string> trusted = {};   // addresses or CIDR ranges whose Forwarded / X-Forwarded-* are believed
  std::string server_name = {};            // SERVER_NAME when a request has no host; empty: the machine's name
  std::string server_header = "Fivefold";  // the Server field; empty: none
  ErrorDetail error_detail = ErrorDetail::id;
  std::map<int, std::string> error_pages = {};  // status → file
  std::uint64_t min_rate = 240;                 // bytes/s a body or a reader must keep on average; 0: no minimum
  milliseconds min_rate_grace = 10s;            // before the minimum rate counts
  HttpLimits limits = {};
  HttpTimeouts timeouts = {};
  CompressionSettings compression = {};
  OpenFileCache open_file_cache = {};
};

// ---- programs ----

enum class Model : std::uint8_t { cgi, module, app, function };

// Resource limits of a program's processes; 0 or empty is "as inherited".
struct ProcessLimits {
  std::uint64_t memory = 0;       // bytes: cgroup memory.max where there is one, RLIMIT_DATA else
  std::uint64_t cpu_seconds = 0;  // RLIMIT_CPU
  std::uint64_t files = 1024;     // RLIMIT_NOFILE
  std::uint64_t processes = 0;    // cgroup pids.max where there is one, RLIMIT_NPROC else (for users other than root)
  std::uint64_t file_size = 0;    // RLIMIT_FSIZE
  std::uint64_t core = 0;         // RLIMIT_CORE
};

enum class OnDisconnect : std::uint8_t { stop, continue_ };  // what a client that leaves means for its program
enum class Nph : std::uint8_t {
  reframe,
  off
};  // `nph-` scripts: their head is parsed and framed again; or run as any other

struct Cgi {
  std::string root = {};                      // a folder: the path under the route names the script
  std::string script = {};                    // or one program that answers every path under its route
  std::vector<std::string> extensions = {};   // with root: only these (".cgi", ".pl"); empty: every executable file
  std::vector<std::string> interpreter = {};  // command put before the script instead of its #! line, e.g. ["php-cgi"]
  milliseconds first_byte_timeout = 60s;      // until the response head has come: 504
  milliseconds idle_timeout = 60s;            // silence in the output after that: cut
  milliseconds stop_grace = 3s;               // from TERM to KILL
  milliseconds linger = 2s;                   // a process that has closed its output may live this long
  std::uint32_t concurrency = 64;             // processes at once; 0: no cap
  std::size_t body_memory =
      256 * 1024;  // a body to be spooled (chunked) stays in memory up to this, then goes to a temporary file
  std::size_t output_head = 32768;  // response head from the program; over it: 502
  bool index_query = false;         // RFC 3875 section 4.4: `?a+b` as arguments
  Nph nph = Nph::reframe;
  OnDisconnect on_disconnect = OnDisconnect::stop;
  bool pass_authorization = false;  // HTTP_AUTHORIZATION to the program
  std::string xsendfile_root = {};  // X-Sendfile / X-Accel-Redirect beneath this folder; empty: the field is dropped
  std::vector<std::string> index = {};  // names looked for when the path is the root itself, e.g. ["index.cgi"]
};

// How the server speaks to an application.
enum class Protocol : std::uint8_t { http, h2c, fastcgi, scgi, uwsgi };

// What kind of program an application is: what is put around its command.
enum class AppKind : std::uint8_t {
  command,  // anything that listens where it is told
  node,     // a Node.js process somewhere in the command: the preload makes its listen() answer on our socket
  servlet,  // a WAR or exploded folder in our launcher's container
  address   // somebody else runs it
};

// When a started instance counts as ready.
enum class Ready : std::uint8_t {
  listening,  // when it accepts a connection
  notify      // when it says so: READY=1 to NOTIFY_SOCKET, the file FIVEFOLD_READY_FILE made, process.send("ready")
};

enum class OnTimeout : std::uint8_t { keep, replace };  // what a request past `timeout` means for its instance
// What an application is told of the client beside the client's own fields; one bit each (App::forward).
enum Forward : std::uint8_t {
  kForwardX = 1,         // X-Forwarded-For, -Proto, -Host, -Port
  kForwardStandard = 2,  // Forwarded, RFC 7239
  kForwardRealIp = 4,    // X-Real-IP
  kForwardId = 8,        // X-Request-Id
  kForwardTrace = 16,    // traceparent (W3C Trace Context)
  kForwardAll = 31
};
enum class RequestBuffering : std::uint8_t { off, memory_then_disk };  // stream a request body, or have it whole first

struct App {
  AppKind kind = AppKind::command;        // follows from the keys; `servlet`, `address`, and node for a command that
                                          // starts_node() (config/app_command.h)
  std::string root = {};                  // its folder, where it is started (never empty for what is started); with
                                          // fastcgi: where its scripts are
  std::vector<std::string> command = {};  // fill_placeholders() of config/app_command.h; the first word is absolute, or
                                          // a name without a slash that PATH finds
  std::vector<std::string> servlet = {};  // WAR files or folders; more than one: "name.war" answers under /name
  std::vector<std::string> address = {};  // "127.0.0.1:9000", "unix:/run/x.sock", "https://name": upstream/endpoint.h
  Protocol protocol = Protocol::http;
  bool socket_activation = false;  // the listening socket is opened by us and passed as LISTEN_FDS
  Ready ready = Ready::listening;
  milliseconds start_timeout = 60s;  // from the start to readiness
  std::uint32_t start_retries = 5;   // failed starts in a row before the program is given up
  std::uint32_t min_instances = 1;   // instances = 4, or { min, max, idle_timeout }
  std::uint32_t max_instances = 1;
  milliseconds instance_idle_timeout = 60s;
  std::uint32_t concurrency = 0;  // requests an instance gets at once; 0: no cap
  milliseconds connect_timeout = 5s;
  milliseconds first_byte_timeout = 60s;
  milliseconds idle_timeout = 60s;  // silence within a response
  milliseconds send_timeout = 60s;
  milliseconds tunnel_timeout = 1h;  // a WebSocket without a byte either way
  milliseconds keep_alive = 4s;      // an idle connection to the application; 0: none is kept
  milliseconds drain = 30s;          // requests and WebSockets of an instance that is being replaced
  milliseconds stop_grace = 10s;     // from TERM to KILL
  milliseconds max_age = 0s;         // an instance older than this is replaced; 0: never
  std::uint64_t max_memory = 0;      // resident bytes of an instance before it is replaced; 0: never
  std::string health_path = {};      // asked every health_interval; empty: no active checks
  milliseconds health_interval = 10s;
  milliseconds health_timeout = 5s;
  std::uint32_t health_failures = 3;
  std::uint32_t eject_failures = 3;
  std::string sticky = {};  // name of a cookie that ties a client to an instance; empty: none
  OnTimeout on_timeout = OnTimeout::keep;
  RequestBuffering request_buffering = RequestBuffering::off;
  std::size_t body_memory = 256 * 1024;  // of a body that is buffered; the rest goes to a temporary file
  std::size_t output_head = 32768;       // response head from the application; over it: 502
  std::uint32_t retries = 1;             // other instances tried for a request that cannot have been acted upon
  bool private_tmp = false;              // TMPDIR is a folder of the instance's own
  bool pass_authorization = true;        // Authorization reaches the application
  bool strip_prefix = false;             // the application sees the path below its route; X-Forwarded-Prefix tells it
  std::uint8_t forward = kForwardAll;    // fields of the server's own that HTTP applications get
  std::string host = {};                 // Host sent instead of the client's
  std::string xsendfile_root = {};       // X-Sendfile / X-Accel-Redirect beneath this folder; empty: dropped
  // FastCGI applications that are told a script, as php-fpm is.
  std::string script = {};  // beneath root: for every path without a script of its own (front controller)
  std::vector<std::string> extensions = {};  // what ends a script's name in the path, e.g. [".php"]
  std::vector<std::string> index = {};       // script looked for when the path is a folder, e.g. ["index.php"]
  // TLS towards an https address.
  std::string tls_ca = {};
  std::string tls_name = {};  // name expected in the certificate instead of the address's
  std::string tls_certificate = {};
  std::string tls_key = {};
  bool tls_verify = true;
};

enum class Language : std::uint8_t { php, perl, python };

// What runs an ASGI application's coroutines; any: uvloop where it is installed.
enum class PythonLoop : std::uint8_t { any, uvloop, asyncio };
// Whether an ASGI application is told that its worker starts and ends; where_known: if it knows that protocol.
enum class Lifespan : std::uint8_t { where_known, on, off };

// A program that runs in an interpreter which the server's own workers hold.
struct Module {
  Language language = Language::php;
  std::string root = {};  // a folder: PHP's site, Perl's scripts, where Python finds its modules
  // What answers; of the languages that have several ways, exactly one is set.
  std::string script = {};                              // Perl: one CGI program for every path under its route
  std::string psgi = {};                                // Perl: the file of a PSGI application
  std::string wsgi = {};                                // Python: "module:callable"
  std::string asgi = {};                                // Python: the same of an ASGI application
  bool application = false;                             // written as model = "app"
  std::uint32_t threads = 1;                            // WSGI: requests at once in a worker
  std::uint32_t concurrency = 100;                      // ASGI: requests at once in a worker
  PythonLoop loop = PythonLoop::any;                    // ASGI
  Lifespan lifespan = Lifespan::where_known;            // ASGI
  milliseconds tunnel_timeout = 1h;                     // ASGI: a WebSocket without a byte either way
  std::uint64_t websocket_max_size = 16 * 1024 * 1024;  // ASGI: of a message from a client, inflated
  milliseconds websocket_ping_interval = 20s;           // ASGI: the worker pings; 0: never. Whole seconds
  milliseconds websocket_ping_timeout = 20s;            // ASGI: and waits so long for a byte; 0: for ever
  std::vector<std::string> try_files = {"{path}", "{path}/", "/index.php"};  // PHP: tried in this order
  bool try_given = false;                                                    // `try` was written
  std::vector<std::string> index = {"index.php", "index.html"};              // PHP: of a folder
  std::vector<std::string> extensions = {};  // of scripts; empty: ".php", and for Perl every file
  bool files = true;                         // PHP: what lies beside the scripts is sent
  bool listing = false;                      // PHP: and folders without an index are listed
  Symlinks symlinks = Symlinks::within;      // PHP: of scripts, and of files beside them
  std::vector<std::string> no_scripts = {};  // PHP: folders beneath root, relative, where nothing is run
  std::vector<std::pair<std::string, std::string>> ini = {};        // PHP: settings that a script may change
  std::vector<std::pair<std::string, std::string>> ini_admin = {};  // PHP: and those that it may not
  // PHP, Perl: files that are loaded before workers are forked. Python: "no", when each worker is to load by itself.
  std::vector<std::string> preload = {};
  std::string worker = {};             // PHP: a script that stays and handles requests in a loop
  std::vector<std::string> path = {};  // Python, Perl: folders where modules are looked for first
  std::string venv = {};               // Python: a virtual environment
  std::uint32_t min_instances = 4;     // workers; instances = 4, or { min, max, idle_timeout }
  std::uint32_t max_instances = 4;
  milliseconds instance_idle_timeout = 60s;
  milliseconds start_timeout = 60s;  // of the interpreter, with what it loads before its workers are forked
  std::uint32_t start_retries = 5;   // failed starts in a row before the program is given up
  milliseconds timeout_grace = 2s;   // what a script may take to stop after `timeout`, before its worker is killed
  milliseconds drain = 30s;          // the request of a worker that is being replaced
  milliseconds stop_grace = 5s;      // from TERM to KILL
  milliseconds slow_log = 0s;        // a request that runs for longer is told in the log; 0: none is
  milliseconds max_age = 0s;         // a worker older than this is replaced; 0: never
  std::uint64_t max_memory = 0;      // resident bytes of a worker before it is replaced; 0: never
  RequestBuffering request_buffering = RequestBuffering::memory_then_disk;
  std::size_t body_memory = 256 * 1024;  // of a body that is buffered; the rest goes to a temporary file
  std::size_t buffer = 1024 * 1024;      // of a response, taken from the worker ahead of a slow client
  std::size_t output_head = 32768;       // response head from the program; over it: 502
  bool pass_authorization = true;        // Authorization reaches the program
  std::string xsendfile_root = {};       // X-Sendfile / X-Accel-Redirect beneath this folder; empty: dropped
};

struct Program {
  std::string name;
  Model model = Model::cgi;
  Position position;
  // Common to every model.
  std::vector<std::pair<std::string, std::string>> env = {};  // cannot override what the server computes
  std::string user = {};  // whom its processes run as; empty: the server's user. Needs a keeper with root
  std::string group = {};
  std::string working_directory = {};  // empty: the model's own rule (CGI: the script's folder)
  milliseconds timeout = 300s;         // a whole request
  std::size_t queue = 1024;            // requests that wait for a place; over it 503
  milliseconds queue_timeout = 30s;    // how long one waits before 503
  ProcessLimits limits = {};
  std::uint64_t max_requests = 0;
  std::vector<std::string> watch = {};
  // The model's own part.
  Cgi cgi = {};
  App app = {};
  Module module = {};
};

// ---- routes ----

struct Redirect {
  std::string to;  // "{rest}" is what the path's * matched, "{path}" the whole path, "{host}" the host, "{query}"
                   // "?..." or nothing
  int status = 302;
};

struct Files {
  std::string root;
  std::vector<std::string> index = {"index.html"};
  bool listing = false;
  bool dot_files = false;
  std::string cache_control = {};
  bool precompressed = true;  // name.br, name.zst, name.gz beside name
  Symlinks symlinks = Symlinks::within;
  std::size_t max_ranges = 16;
  std::vector<std::pair<std::string, std::string>> types = {};  // suffix → media type, before the built-in table
};

// What a route does: exactly one of these is set.
enum class Action : std::uint8_t { run, files, redirect, metrics, deny };  // deny: 404, as if there were nothing

struct Route {
  Position position;
  std::vector<std::string> hosts = {};    // empty: every host; "*.example.org" any name below; lower case
  std::string path = "/*";                // "/exact", "/prefix/*", "*.php"
  std::vector<std::string> methods = {};  // empty: every method
  Action action = Action::files;
  std::string run = {};  // Program::name
  Files files = {};
  Redirect redirect = {};
  std::vector<std::pair<std::string, std::string>> headers =
      {};                             // set on every response; an empty value removes the field
  std::optional<bool> compress = {};  // overrides [server.compression] enabled
  std::optional<std::uint64_t> body_limit = {};
};

struct Config {
  std::string file;       // where it came from; for messages
  std::string directory;  // what relative paths were taken from
  Server server;
  std::vector<Route> routes;
  std::vector<Program> programs;  // in the order of the file
  std::map<std::string, Position> positions =
      {};  // of single values, for messages: "server.log", "program.NAME.root", "route[0].files"
};

}  // namespace fivefold::config
