#include "models/app/app_instance.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "models/app/health_probe.h"

namespace fivefold::models::app {
namespace {

// The first `limit` bytes of a file under /proc; empty when it cannot be read.
std::string read_small(const std::string& path, std::size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return {};
  std::string text(limit, '\0');
  const auto got = ::read(fd.get(), text.data(), text.size());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

AppAddress::AppAddress(upstream::Endpoint endpoint, upstream::ConnectionLimits limits,
                       std::span<net::Loop* const> loops, net::Resolver& resolver, std::shared_ptr<net::TlsClient> tls)
    : endpoint_(std::move(endpoint)),
      limits_(limits),
      loops_(loops.begin(), loops.end()),
      resolver_(resolver),
      tls_(std::move(tls)),
      of_loop_(loops.size()) {}

AppAddress::~AppAddress() {
  for (std::size_t i = 0; i < of_loop_.size(); ++i)
    if (of_loop_[i]) loops_[i]->destroy_here(std::move(of_loop_[i]));
}

AppAddress::OfLoop::OfLoop(net::Loop& loop, const AppAddress& address)
    : connections(loop, address.endpoint_, address.limits_, &address.resolver_, address.tls_) {}

AppAddress::OfLoop& AppAddress::of(net::Loop& loop) {
  auto& one = of_loop_[loop.index()];
  if (!one) one = std::make_shared<OfLoop>(loop, *this);
  return *one;
}

upstream::Connections& AppAddress::on(net::Loop& loop) { return of(loop).connections; }

upstream::H2Connection& AppAddress::h2_on(net::Loop& loop) {
  auto& one = of(loop);
  if (!one.h2) one.h2.emplace(one.connections);
  return *one.h2;
}

std::unique_ptr<upstream::Connections> AppAddress::apart(net::Loop& loop,
                                                         std::chrono::milliseconds connect_timeout) const {
  upstream::ConnectionLimits limits = limits_;
  limits.connect_timeout = connect_timeout;
  limits.most_idle = 0;
  return std::make_unique<upstream::Connections>(loop, endpoint_, limits, &resolver_, tls_);
}

struct AppProcess::Output {
  Output(net::Loop& loop, UniqueFd fd, LineFile& log, std::string_view program, std::string_view tag)
      : stream(loop, std::move(fd), kOutputBuffer, kLargestOutputBuffer), lines(log, program, tag) {}
  net::Stream stream;
  process::OutputLines lines;
  net::Running reader;
};

AppProcess::AppProcess(net::Loop& home, process::Spawner& spawner, std::string folder, LineFile& log,
                       std::string_view program, std::uint32_t id)
    : home_(home),
      spawner_(&spawner),
      folder_(std::move(folder)),
      log_(&log),
      program_(program),
      tag_("instance " + std::to_string(id)) {}

AppProcess::AppProcess(net::Loop& home) : home_(home) {}

AppProcess::~AppProcess() {
  for (auto& output : outputs_) {
    output->reader = {};
    output->lines.finish();
  }
  child_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

void AppProcess::started(std::unique_ptr<process::Child> child, UniqueFd output, UniqueFd error_output) {
  child_ = std::move(child);
  for (auto* fd : {&output, &error_output}) {
    if (!*fd) continue;
    auto& added = outputs_.emplace_back(std::make_unique<Output>(home_, std::move(*fd), *log_, program_, tag_));
    added->lines.set_pid(child_->pid());
    ++open_outputs_;
    added->reader = net::Running(read_output(*added));
  }
}

void AppProcess::answers_at(std::shared_ptr<AppAddress> address, HealthProbe probe) {
  address_ = address;
  probe_ = std::move(probe);
  journey_.reset();
}

net::Task<void> AppProcess::read_output(Output& output) {
  while (true) {
    const auto got = co_await output.stream.fill();
    if (!got || *got == 0) break;
    if (journey_) journey_->output(output.stream.buffered());
    const auto request = the_request_ ? the_request_() : std::string();
    output.lines.set_tag(request.empty() ? tag_ : tag_ + " " + request);
    output.lines.take(output.stream.buffered(), home_.now());
    output.stream.consume(output.stream.buffered().size());
  }
  output.lines.finish();
  --open_outputs_;
}

net::Task<Result<void>> AppProcess::probe() {
  auto address = address_.lock();
  if (!address) co_return fail(Code::program_unavailable, "the instance is going");
  const auto connections = address->apart(home_, probe_.timeout);
  auto healthy = co_await probe_health(*connections, probe_);
  co_return healthy;
}

void AppProcess::disown() {
  if (!child_ || !spawner_) return;
  folder_.clear();
  for (auto& output : outputs_) output->reader = {};
  outputs_.clear();
  spawner_->disown(std::move(child_));
}

std::string AppProcess::where_it_hangs() const {
  if (!child_) return {};
  const auto process = "/proc/" + std::to_string(child_->pid());
  std::string text;
  const auto add = [&text](std::string_view title, const std::string& what) {
    if (what.empty() || what == "0") return;
    text += (text.empty() ? "" : "\n") + std::string(title) + ": " + what;
  };
  const auto status = read_small(process + "/status", 4096);
  const auto state = status.find("State:\t");
  if (state != std::string::npos) add("state", status.substr(state + 7, status.find('\n', state) - state - 7));
  add("waits in", read_small(process + "/wchan", 256));
  add("system call", read_small(process + "/syscall", 256));
  add("kernel stack", read_small(process + "/stack", 2048));
  return text;
}

}  // namespace fivefold::models::app
