#pragma once
// One live instance of an application: its process with its output, and the connections that lead to it.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/line_file.h"
#include "config/config.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "net/tls_client.h"
#include "process/instance.h"
#include "process/output_lines.h"
#include "upstream/connections.h"
#include "upstream/h2c_call.h"

namespace fivefold::models::app {

// Connections to one instance from every loop. A loop uses its own and no other.
class AppAddress final : public process::InstanceAddress {
 public:
  // `loops` by their index; they and `resolver` outlive this.
  AppAddress(upstream::Endpoint endpoint, upstream::ConnectionLimits limits, std::span<net::Loop* const> loops,
             net::Resolver& resolver, std::shared_ptr<net::TlsClient> tls);
  ~AppAddress() override;
  upstream::Connections& on(net::Loop& loop);
  // The one connection of an application that speaks HTTP/2.
  upstream::H2Connection& h2_on(net::Loop& loop);
  const upstream::Endpoint& endpoint() const { return endpoint_; }
  // Of a loop that serves no requests: for probes. Nothing is kept open; this outlives them.
  std::unique_ptr<upstream::Connections> apart(net::Loop& loop, std::chrono::milliseconds connect_timeout) const;

 private:
  upstream::Endpoint endpoint_;
  upstream::ConnectionLimits limits_;
  std::vector<net::Loop*> loops_;
  net::Resolver& resolver_;
  std::shared_ptr<net::TlsClient> tls_;
  struct OfLoop {
    OfLoop(net::Loop& loop, const AppAddress& address);
    upstream::Connections connections;
    std::optional<upstream::H2Connection> h2;
  };
  OfLoop& of(net::Loop& loop);
  std::vector<std::shared_ptr<OfLoop>> of_loop_;
};

// What an instance's health is asked by.
struct HealthProbe {
  std::string path;  // empty: a connection that is accepted is enough
  std::string host;
  std::chrono::milliseconds timeout{5000};
};

// On the home loop. Its output goes to the program's log from its start to its end.
class AppProcess final : public process::InstanceProcess {
 public:
  static constexpr std::size_t kOutputBuffer = 4096;
  static constexpr std::size_t kLargestOutputBuffer = 65536;

  // A process of ours. `folder` is removed with it, unless it is disowned. `spawner` and `log` outlive this.
  AppProcess(net::Loop& home, process::Spawner& spawner, std::string folder, LineFile& log, std::string_view program,
             std::uint32_t id);
  // Somebody else's.
  explicit AppProcess(net::Loop& home);
  ~AppProcess() override;

  void started(std::unique_ptr<process::Child> child, UniqueFd output, UniqueFd error_output);
  void answers_at(std::shared_ptr<AppAddress> address, HealthProbe probe);
  // While it starts, its output goes to the journey as well.
  void tell(std::shared_ptr<process::Journey> journey) { journey_ = std::move(journey); }
  bool output_ended() const { return open_outputs_ == 0; }

  process::Child* child() override { return child_.get(); }
  net::Task<Result<void>> probe() override;
  void disown() override;
  void serves(std::function<std::string()> the_request) override { the_request_ = std::move(the_request); }
  std::string where_it_hangs() const override;

 private:
  struct Output;
  net::Task<void> read_output(Output& output);

  net::Loop& home_;
  process::Spawner* spawner_ = nullptr;
  std::string folder_;
  LineFile* log_ = nullptr;
  std::string program_;
  std::string tag_;  // of its lines: "instance 3"
  HealthProbe probe_;
  std::weak_ptr<AppAddress> address_;  // the pool's; only for probes
  std::shared_ptr<process::Journey> journey_;
  std::function<std::string()> the_request_;  // empty while it starts
  std::vector<std::unique_ptr<Output>> outputs_;
  int open_outputs_ = 0;
  std::unique_ptr<process::Child> child_;
};

}  // namespace fivefold::models::app
