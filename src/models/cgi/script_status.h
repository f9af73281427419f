#pragma once
// What runs now and what has happened, for `status` and metrics.
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "exchange/program_status.h"
#include "net/timer.h"
#include "process/admission.h"

namespace fivefold::models::cgi {

// Written by every loop at each request, read now and then: counters are atomic, the list has a mutex that is held for
// a few instructions.
class ScriptStatus final : public exchange::StatusSource, public std::enable_shared_from_this<ScriptStatus> {
 private:
  struct Entry {
    pid_t pid;
    std::string script;
    std::string request_id;
    net::TimePoint since;
  };
  using Entries = std::list<Entry>;

 public:
  ScriptStatus(std::string program, std::shared_ptr<process::Admission> admission)
      : program_(std::move(program)), admission_(std::move(admission)) {}

  // A running process is listed for as long as this is held.
  class Listed {
   public:
    Listed() = default;
    Listed(Listed&& other) noexcept : status_(std::move(other.status_)), entry_(other.entry_) {}
    Listed& operator=(Listed&&) = delete;
    ~Listed();

   private:
    friend class ScriptStatus;
    Listed(std::shared_ptr<ScriptStatus> status, Entries::iterator entry) : status_(std::move(status)), entry_(entry) {}
    std::shared_ptr<ScriptStatus> status_;
    Entries::iterator entry_;
  };
  Listed list(pid_t pid, std::string script, std::string_view request_id);

  void count_request() { requests_.fetch_add(1, std::memory_order_relaxed); }
  void count_failure(std::string what);

  exchange::ProgramStatus status() const override;

 private:
  std::string program_;
  std::shared_ptr<process::Admission> admission_;
  std::atomic<std::uint64_t> requests_{0};
  mutable std::mutex mutex_;
  Entries running_;
  std::uint64_t failures_ = 0;
  std::string last_failure_;
  std::int64_t last_failure_at_ = 0;
};

}  // namespace fivefold::models::cgi
