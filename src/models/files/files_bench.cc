// What one request for a file in the cache costs, without the connection around it.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "models/files/files_handler.h"
#include "process/child.h"

namespace fivefold::models::files {
namespace {

struct NoSpawner final : process::Spawner {
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::internal, "no programs here");
  }
};

struct BenchExchange final : exchange::Exchange {
  using Exchange::Exchange;
  net::Task<Result<exchange::Response>> redirect_locally(std::string) override {
    co_return fail(Code::internal, "no other paths here");
  }
};

// A folder with files of the sizes measured, and a handler for it.
struct Folder {
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "files-bench-XXXXXX";
    root = ::mkdtemp(name.data());
    for (const auto& [file, size] :
         {std::pair("1k.txt", 1024), std::pair("100k.bin", 102'400), std::pair("1m.bin", 1 << 20)})
      std::ofstream(root + "/" + file) << std::string(static_cast<std::size_t>(size), 'x');
    std::ofstream(root + "/page.js") << std::string(4096, 'x');
    std::ofstream(root + "/page.js.gz") << std::string(512, 'x');
    for (const auto& entry : std::filesystem::directory_iterator(root))
      std::filesystem::last_write_time(entry, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    config::Files files;
    files.root = root;
    handler = std::make_unique<FilesHandler>(
        files, std::make_shared<FileCaches>(config::OpenFileCache{.valid = std::chrono::hours(1)}, 1));
  }
  ~Folder() { std::filesystem::remove_all(root); }
  std::string root;
  net::Loop loop{0};
  NoSpawner spawner;
  net::BlockingPool pool{1};
  exchange::World world{.loop = loop, .blocking = pool, .spawner = spawner};
  std::unique_ptr<FilesHandler> handler;
};

net::Task<void> fetch(FilesHandler& handler, exchange::Request request, exchange::Exchange& exchange) {
  benchmark::DoNotOptimize(co_await handler.handle(std::move(request), exchange));
}

void request(benchmark::State& state, const char* path, std::vector<http::Field> more) {
  Folder folder;
  http::Head head;
  head.raw_path = path;
  // What a browser sends.
  head.fields = {{"Host", "example.org"},
                 {"User-Agent", "Mozilla/5.0"},
                 {"Accept", "*/*"},
                 {"Accept-Language", "en"},
                 {"Connection", "keep-alive"}};
  head.fields.insert(head.fields.end(), more.begin(), more.end());
  const exchange::Peer peer;
  BenchExchange exchange(folder.world);
  exchange.route_prefix = "/";
  exchange.route_rest = std::string_view(path).substr(1);
  net::TaskGroup first;
  first.on_empty([&] { folder.loop.stop(); });
  first.start(fetch(*folder.handler, {.head = head, .path = path, .body = {}, .peer = peer}, exchange));
  if (first.size() > 0) folder.loop.run();
  int status = 0;
  for (auto _ : state) {
    auto task = folder.handler->handle({.head = head, .path = path, .body = {}, .peer = peer}, exchange);
    task.handle().resume();
    if (!task.handle().done()) {
      state.SkipWithError("a request for a cached file had to wait");
      break;
    }
    const auto response = task.handle().promise().take();
    status = response ? response->status : 0;
    benchmark::DoNotOptimize(response);
  }
  state.SetLabel("status " + std::to_string(status));
}

BENCHMARK_CAPTURE(request, cached_1k, "/1k.txt", {});
BENCHMARK_CAPTURE(request, cached_100k, "/100k.bin", {});
BENCHMARK_CAPTURE(request, descriptor_1m, "/1m.bin", {});
BENCHMARK_CAPTURE(request, precompressed, "/page.js", {{"Accept-Encoding", "gzip, deflate, br, zstd"}});
BENCHMARK_CAPTURE(request, range, "/100k.bin", {{"Range", "bytes=100-199"}});
BENCHMARK_CAPTURE(request, not_modified, "/1k.txt", {{"If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"}});

// What a look at the disk costs, when the kernel has everything in memory: a miss, and finding that nothing has
// changed.
void load(benchmark::State& state, bool known) {
  Folder folder;
  config::Files files;
  files.root = folder.root;
  const ResourceLoader loader(files, 128 * 1024, std::make_shared<FolderWatcher>());
  const LoadRequest request{.path = "1k.txt"};
  // A file that has just been written is read again at every look.
  if (known) std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  const Loaded first = loader.load(request, {}, Patience::blocking);
  for (auto _ : state) benchmark::DoNotOptimize(loader.load(request, known ? first : Loaded{}, Patience::cached));
}
BENCHMARK_CAPTURE(load, miss, false);
BENCHMARK_CAPTURE(load, still_holds, true);

}  // namespace
}  // namespace fivefold::models::files
