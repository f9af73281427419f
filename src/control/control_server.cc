#include "control/control_server.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "control/metrics.h"
#include "control/protocol.h"
#include "control/status.h"
#include "net/stream.h"

namespace fivefold::control {
namespace {

std::string one_line(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";  // names of programs may be any bytes
}

std::string refusal(const std::string& text) { return one_line({{"ok", false}, {"text", text}}); }

}  // namespace

// A connection that waits for the keeper.
struct ControlServer::Waiting {
  explicit Waiting(net::Loop& loop)
      : event(loop), timer(loop.timers(), [](void* self) { static_cast<Waiting*>(self)->event.set(); }, this) {}
  net::Event event;
  net::Timer timer;
  std::string answer;
};

ControlServer::ControlServer(net::Loop& loop, UniqueFd listening, uid_t keeper_uid, const ServerView& view, Log& log,
                             ToKeeper to_keeper, RestartProgram restart_program)
    : loop_(loop),
      keeper_uid_(keeper_uid),
      view_(view),
      log_(log),
      to_keeper_(std::move(to_keeper)),
      restart_program_(std::move(restart_program)) {
  listener_ = std::make_unique<net::Listener>(
      loop, std::move(listening), [this](UniqueFd fd, const sockaddr_storage&, socklen_t) { accepted(std::move(fd)); });
}

ControlServer::~ControlServer() = default;

void ControlServer::stop_accepting() { listener_.reset(); }

void ControlServer::accepted(UniqueFd fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
      (peer.uid != 0 && peer.uid != keeper_uid_)) {
    log_.warn("a connection to the control socket by user {} (pid {}) was refused", peer.uid, peer.pid);
    return;
  }
  if (connections_.size() >= kConnections) return;
  connections_.start(serve(std::move(fd)));
}

net::Task<void> ControlServer::serve(UniqueFd fd) {
  net::Stream stream(loop_, std::move(fd), 256, kRequestLimit);
  const auto deadline = loop_.now() + kRequestTime;
  while (stream.buffered().find('\n') == std::string_view::npos) {
    const auto filled = co_await stream.fill(deadline);
    if (!filled && filled.error().code == Code::header_too_large) {
      (void)co_await stream.write_all(
          refusal("The request is longer than " + std::to_string(kRequestLimit) + " bytes."), kSilence);
      co_return;
    }
    if (!filled || *filled == 0) co_return;
  }
  const auto line = stream.buffered().substr(0, stream.buffered().find('\n'));
  const auto request = nlohmann::json::parse(line, nullptr, false);
  std::string command;
  if (request.is_object() && request.contains("command") && request["command"].is_string())
    command = request["command"];
  std::string program;
  if (request.is_object() && request.contains("program") && request["program"].is_string())
    program = request["program"];
  std::string answer;
  if (command == "restart" && !program.empty()) {
    answer = co_await restart_one(std::move(program));
  } else if (command == "status") {
    answer = one_line(status_json(view_));
  } else if (command == "metrics") {
    answer = metrics_text(view_);
  } else if (command == "reload" || command == "restart" || command == "stop" || command == "reopen") {
    answer = co_await ask_keeper(command);
  } else {
    answer = refusal("Unknown command \"" + printable(command) +
                     "\"; there are status, metrics, reload, restart, stop and reopen.");
  }
  (void)co_await stream.write_all(answer, kSilence);
}

net::Task<std::string> ControlServer::ask_keeper(std::string command) {
  Waiting waiting(loop_);
  const auto id = next_id_++;
  // However this coroutine ends, the entry goes with it.
  struct Entry {
    std::map<std::uint64_t, Waiting*>& all;
    std::uint64_t id;
    ~Entry() { all.erase(id); }
  } entry{waiting_, id};
  waiting_[id] = &waiting;
  if (!to_keeper_(id, command)) co_return refusal("The keeper does not answer.");
  waiting.timer.set(loop_.now() + kKeeperTime);
  co_await waiting.event.wait();
  if (waiting.answer.empty())
    co_return refusal("The keeper has not answered in time; the log tells what became of it.");
  co_return std::move(waiting.answer);
}

// Waits as long as the program's own start_timeout and drain let it: every instance is waited for.
net::Task<std::string> ControlServer::restart_one(std::string program) {
  if (!restart_program_) co_return refusal("Programs cannot be restarted here.");
  struct Outcome {
    explicit Outcome(net::Loop& loop) : event(loop) {}
    net::Event event;
    std::string answer;
  };
  auto outcome = std::make_shared<Outcome>(loop_);
  restart_program_(program, [outcome](bool ok, const std::string& text) {
    outcome->answer = one_line({{"ok", ok}, {"text", text}});
    outcome->event.set();
  });
  co_await outcome->event.wait();
  co_return std::move(outcome->answer);
}

void ControlServer::answer(std::uint64_t id, bool ok, const std::string& text) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  found->second->answer = one_line({{"ok", ok}, {"text", text}, {"keeper_pid", view_.keeper_pid}});
  found->second->event.set();
}

}  // namespace fivefold::control
