// One small request to an application and back, over a kept connection: time, allocations and system calls of the
// caller's side. The application is a thread that answers at once; its time is in the wall clock, not in the CPU time.
#include <benchmark/benchmark.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <thread>

#include "net/blocking.h"
#include "process/child.h"
#include "upstream/call.h"

namespace {
thread_local std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace fivefold::upstream {
namespace {

class NoSpawner final : public process::Spawner {
 public:
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::internal, "nothing is started here");
  }
};

struct BenchExchange final : exchange::Exchange {
  explicit BenchExchange(exchange::World& world) : Exchange(world) {}
  net::Task<Result<exchange::Response>> redirect_locally(std::string) override { co_return exchange::Response{}; }
};

class BenchOwner final : public CallOwner {
 public:
  void broke(const Error&) override {}
  void error_output(std::string_view) override {}
};

net::Task<void> ask(net::Loop& loop, Connections& home, exchange::Exchange& exchange, benchmark::State& state,
                    std::size_t& counted) {
  http::Headers fields;
  fields.add("Host", "example.org");
  fields.add("User-Agent", "bench");
  fields.add("Accept", "*/*");
  for (auto _ : state) {
    auto connection = home.take_idle();
    if (!connection) {
      auto opened = co_await home.open();
      connection = std::move(*opened);
    }
    const auto before = allocations;
    OutgoingHead head{.method = "GET", .target = "/hello?a=b", .fields = fields};
    auto answer = co_await call_http({.connection = std::move(connection),
                                      .home = home,
                                      .owner = std::make_unique<BenchOwner>(),
                                      .exchange = exchange,
                                      .timeouts = {}},
                                     std::move(head));
    if (!answer || answer->body.length() != 1024) {
      state.SkipWithError("no answer");
      break;
    }
    counted += allocations - before;
  }
  loop.stop();
}

void answer_all(int listener) {
  const std::string body(1024, 'x');
  const std::string response =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: keep-alive\r\n"
      "Keep-Alive: timeout=5\r\nContent-Length: 1024\r\n\r\n" +
      body;
  const int fd = ::accept(listener, nullptr, nullptr);
  char request[4096];
  while (::recv(fd, request, sizeof request, 0) > 0) (void)::send(fd, response.data(), response.size(), MSG_NOSIGNAL);
  ::close(fd);
}

void small_answer(benchmark::State& state) {
  const std::string name = "fivefold_bench_" + std::to_string(::getpid());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  name.copy(address.sun_path + 1, sizeof address.sun_path - 2);
  ::bind(listener, reinterpret_cast<sockaddr*>(&address),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size()));
  ::listen(listener, 4);
  std::thread application(answer_all, listener);
  {
    net::Loop loop(0);
    net::BlockingPool blocking(1);
    NoSpawner spawner;
    exchange::World world{loop, blocking, spawner};
    BenchExchange exchange(world);
    Connections home(loop, {.path = "@" + name}, {}, nullptr, nullptr);
    std::size_t counted = 0;
    net::TaskGroup group;
    group.start(ask(loop, home, exchange, state, counted));
    loop.run();
    state.counters["allocations"] =
        benchmark::Counter(static_cast<double>(counted), benchmark::Counter::kAvgIterations);
  }
  application.join();
  ::close(listener);
}
BENCHMARK(small_answer);

}  // namespace
}  // namespace fivefold::upstream
