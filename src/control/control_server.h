#pragma once
// Answers on the control socket, on the server's main loop: its own state itself, commands through the keeper.
#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/unique_fd.h"
#include "control/server_view.h"
#include "net/listener.h"
#include "net/loop.h"

namespace fivefold::control {

class ControlServer {
 public:
  // Passes "reload", "restart", "stop" or "reopen" on; the answer comes through answer() with the same id. False when
  // the keeper is gone.
  using ToKeeper = std::function<bool(std::uint64_t id, const std::string& command)>;

  // Replaces the instances of one program, and says how that went through `told`, once, on the loop.
  using Told = std::function<void(bool ok, const std::string& text)>;
  using RestartProgram = std::function<void(const std::string& name, Told told)>;

  // `listening` is the socket the keeper opened with mode 0600. Only root and `keeper_uid` are answered (SO_PEERCRED).
  // `loop`, `view` and `log` outlive this object; everything happens on `loop`.
  ControlServer(net::Loop& loop, UniqueFd listening, uid_t keeper_uid, const ServerView& view, Log& log,
                ToKeeper to_keeper, RestartProgram restart_program = {});
  ~ControlServer();

  void answer(std::uint64_t id, bool ok, const std::string& text);
  // No more connections; those that wait for an answer keep waiting.
  void stop_accepting();

 private:
  struct Waiting;
  void accepted(UniqueFd fd);
  net::Task<void> serve(UniqueFd fd);
  net::Task<std::string> ask_keeper(std::string command);
  net::Task<std::string> restart_one(std::string program);

  net::Loop& loop_;
  uid_t keeper_uid_;
  const ServerView& view_;
  Log& log_;
  ToKeeper to_keeper_;
  RestartProgram restart_program_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Waiting*> waiting_;
  net::TaskGroup connections_;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace fivefold::control
