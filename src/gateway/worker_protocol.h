#pragma once
// The language between the server and the workers that hold an interpreter: constants and layouts alone, for both
// sides. A worker's executable includes this header and nothing else of the server's.
//
//     keeper ──starts──> zygote ──forks──> worker, worker, ...
//     server <─control─> zygote            one interpreter each, started and warmed once, in the zygote
//     server <─channel─────────────────> worker
//
// All integers are in the machine's own byte order: both ends are on one machine.
#include <cstddef>
#include <cstdint>

namespace fivefold::gateway::worker {

// ---- control: the server and a zygote, a SOCK_SEQPACKET pair ----
// One packet is one message: a ControlHeader, then `size` bytes of text. A zygote that sees the end of it ends its
// workers (TERM, KILL after kOrphanGrace) and itself; a server that sees it takes the zygote for dead.

inline constexpr int kControlFd = 3;  // in the zygote
inline constexpr std::size_t kMostText = 4096;
inline constexpr unsigned kMostChannels = 128;  // of one worker; one per event loop of the server
inline constexpr unsigned kOrphanGrace = 10;    // seconds
// Exit status of a zygote or worker whose program could not be started; why is on its standard error.
inline constexpr int kExitStart = 70;
// SIGRTMIN + this, to a worker: it prints where its script is to its standard error. Workers whose zygote was not told
// `slow=yes` ignore it.
inline constexpr int kStackSignal = 5;

enum class Control : std::uint32_t {
  // zygote to server
  ready = 1,  // the interpreter is started and preloaded; text: its name and version ("PHP 8.2.29"). Sent once
  started =
      2,       // worker `id` lives: `value` is its pid, and its channels' server ends come with the packet (SCM_RIGHTS)
  exited = 3,  // worker `id` (pid `pid`) was reaped; `value` is the status as of waitpid(2)
  refused = 4,  // worker `id` could not be forked; `value` is the errno, text says at which step
  // server to zygote
  fork = 16,    // start worker `id` with `value` channels; its page of claims comes with the packet (SCM_RIGHTS)
  signal = 17,  // send signal `value` to worker `id`, if it lives
};

struct ControlHeader {
  Control kind;
  std::uint32_t id = 0;  // of the worker, chosen by the server, never used twice
  std::int32_t value = 0;
  std::int32_t pid = 0;
  std::uint32_t size = 0;  // bytes of text that follow
};
static_assert(sizeof(ControlHeader) == 20);

// ---- channel: the server and a worker, SOCK_STREAM pairs ----
// Frames in both directions. A channel carries one request at a time unless the worker was started for several at once
// (ASGI); `stream` tells them apart, and lets what was sent before the other side had noticed an end be recognised and
// dropped. The server never has two requests at once on different channels of a worker that takes one at a time. A
// worker whose channels have all ended leaves when its request is over.

enum class Frame : std::uint8_t {
  // server to worker
  request = 1,      // RequestHeader, variables, first bytes of the body
  body = 2,         // bytes of the body; kLast on the last. Sent only when asked for with `want`
  body_broken = 3,  // the body will not become whole (the client has left, or sent nonsense): reading it fails
  abort = 4,        // nobody reads the response any more; the server takes what comes up to the request's end
  window = 5,       // uint32: so many more bytes of response may be sent. Only for a request with kWindowed
  // worker to server
  head = 16,     // the response's head as a CGI program writes it, "Status: 200 OK\r\nName: value\r\n", no blank line
  interim = 17,  // the same of an informational response (103): "Status: 103\r\nLink: ...\r\n"
  output = 18,   // bytes of the response's body
  end = 19,      // the response is whole (or, with kBroken, will never be: text says why). Then kIdle or, later, `idle`
  idle = 20,     // the worker takes the next request; only after an `end` without kIdle
  want = 21,     // uint32: so many more bytes of the body may be sent
  log = 22,      // a line for the program's log, without its newline; flags are the severity, as of syslog(3)
};

// flags
inline constexpr std::uint8_t kLast = 1;      // request, body: the body ends with these bytes
inline constexpr std::uint8_t kWindowed = 2;  // request: the response's body is sent only as windows allow
inline constexpr std::uint8_t kHead = 4;      // request: HEAD; the worker may leave the body out
// request: a WebSocket handshake (GET with Upgrade: websocket), which the worker may take. A head of status 101 takes
// it: from then on `output` is bytes of the connection to the client and `body` bytes from it, raw, within `window` and
// `want` as bodies are; kLast ends the client's half and `end` the worker's. Any other head refuses it, an ordinary
// response. The request is always windowed, and its body, before the switch, empty.
inline constexpr std::uint8_t kUpgrade = 8;
inline constexpr std::uint8_t kIdle = 1;     // end: the worker takes the next request at once
inline constexpr std::uint8_t kLeaving = 2;  // end, idle: the worker exits now; it takes no more requests
inline constexpr std::uint8_t kBroken = 4;   // end: the response is not whole; text says why
// A soft time limit, memory limit or fatal error was met while nothing had been sent: text says which; the server
// answers with an error page (500, or 504 with kTimedOut).
inline constexpr std::uint8_t kFailed = 8;
inline constexpr std::uint8_t kTimedOut = 16;

// ---- claims: a page of memory between the server and a worker ----
// A request may be sent while the worker is at another one, and taken back as long as it has not been begun: so it can
// stand behind a short script without ever having to wait for a long one. Each channel has kClaims words, a request
// that of its number: the server writes the number there before it sends; whoever exchanges it for 0 first has the
// request, the worker to begin it or the server to take it back. A frame whose word does not hold its number is
// skipped. A worker that was given no page takes what comes; the server then never sends ahead.
inline constexpr std::size_t kClaims = 16;  // a power of two, and more than kMostAhead
inline constexpr std::size_t kMostAhead = 8;
inline constexpr std::size_t kClaimsSize = kMostChannels * kClaims * sizeof(std::uint32_t);

struct FrameHeader {
  std::uint32_t size = 0;  // bytes that follow the header; at most kMostFrame
  Frame kind{};
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
  std::uint32_t stream = 0;  // the request's number on this channel, from 1; wraps round, never 0
};
static_assert(sizeof(FrameHeader) == 12);

inline constexpr std::size_t kMostFrame = 1 << 20;
inline constexpr std::size_t kMostOutput = 256 * 1024;  // of one `output`, `body` or `log`
inline constexpr std::uint32_t kFirstWindow = 256 * 1024;
inline constexpr std::uint64_t kUnknownLength = ~std::uint64_t{0};

// What a request frame begins with. Then `variables_size` bytes: "NAME=value" strings back to back, each with its NUL
// (a CGI environment, RFC 3875 section 4.1; a name has no '='). The rest of the frame is body.
struct RequestHeader {
  std::uint64_t body_length = 0;    // all of it; kUnknownLength
  std::uint32_t time_limit_ms = 0;  // after this the interpreter stops the script by itself; 0: never
  std::uint32_t variables = 0;
  std::uint32_t variables_size = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(RequestHeader) == 24);

}  // namespace fivefold::gateway::worker
