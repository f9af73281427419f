#include "control/server_view.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

namespace fivefold::control {

Totals totals(const serve::HttpServer& http) {
  Totals sum;
  const auto read = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  for (const auto& loop : http.counters()) {
    sum.connections_accepted += read(loop->connections_accepted);
    sum.connections_open += read(loop->connections_open);
    sum.connections_idle += read(loop->connections_idle);
    sum.requests += read(loop->requests);
    sum.requests_active += read(loop->requests_active);
    sum.refused += read(loop->refused);
    sum.timeouts += read(loop->timeouts);
    sum.bytes_received += read(loop->bytes_received);
    sum.bytes_sent += read(loop->bytes_sent);
    for (std::size_t i = 0; i < sum.responses.size(); ++i) sum.responses[i] += read(loop->responses[i]);
    for (std::size_t i = 0; i < sum.duration_buckets.size(); ++i)
      sum.duration_buckets[i] += read(loop->duration_buckets[i]);
    sum.duration_sum_us += read(loop->duration_sum_us);
  }
  return sum;
}

std::uint64_t memory_of(pid_t pid) {
  const auto path = "/proc/" + std::to_string(pid) + "/statm";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  unsigned long long size = 0, resident = 0;
  if (!file || std::fscanf(file.get(), "%llu %llu", &size, &resident) != 2) return 0;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t open_descriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  std::uint64_t count = 0;
  if (!folder) return 0;
  while (const dirent* entry = ::readdir(folder.get())) count += entry->d_name[0] != '.';
  return count > 0 ? count - 1 : 0;  // without the one that reads the folder
}

std::uint64_t descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace fivefold::control
