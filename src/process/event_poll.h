#pragma once
// What the spawning helper waits for. Tokens name everything that is watched; they are never used again, so a stale
// event finds nobody.
#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <span>

#include "base/unique_fd.h"

namespace fivefold::process {

inline constexpr std::uint64_t kKeeperToken = 1;
inline constexpr std::uint64_t kOrphanToken = 2;
inline constexpr std::uint64_t kFirstToken = 16;

class EventPoll {
 public:
  // False with errno when the kernel refuses.
  bool open() {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    return static_cast<bool>(epoll_);
  }

  std::uint64_t new_token() { return next_token_++; }

  // `events` are EPOLLIN and the like. False with errno. Closing the descriptor ends the watch.
  bool add(int fd, std::uint32_t events, std::uint64_t token) { return control(EPOLL_CTL_ADD, fd, events, token); }
  bool change(int fd, std::uint32_t events, std::uint64_t token) { return control(EPOLL_CTL_MOD, fd, events, token); }

  // How many of `events` were filled, after `timeout` at the latest (negative: none); or -1 with errno.
  int wait(std::span<epoll_event> events, std::chrono::milliseconds timeout) {
    return ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                        static_cast<int>(timeout.count()));
  }

 private:
  bool control(int operation, int fd, std::uint32_t events, std::uint64_t token) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = token;
    return ::epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
  }

  UniqueFd epoll_;
  std::uint64_t next_token_ = kFirstToken;
};

}  // namespace fivefold::process
