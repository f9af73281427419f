#pragma once
// interface=cgi: CGI scripts, each compiled once, run in the worker as in a process of their own.
#include <expected>

#include "cgi_output.h"
#include "child_output.h"
#include "environment.h"
#include "globals.h"
#include "operators.h"
#include "perl_api.h"
#include "script.h"
#include "standard_handles.h"

namespace fivefold::perl {

class Registry : public Sinks, public Watcher {
 public:
  // In the zygote. After it preload() any number of times.
  void start();
  // A script is compiled, not run.
  std::expected<void, std::string> preload(const std::string& file);
  // In a worker. false: a pipe could not be made.
  bool start_worker();
  worker::Outcome serve(worker::Request& request);

  bool output(std::string_view bytes) override;
  bool errors(std::string_view bytes) override;
  ssize_t input(char* to, std::size_t most) override;
  void before_waiting() override;
  void shares_output() override { child_output_.share(); }
  void shares_input() override;
  void before_exec() override { Environment::become_real(); }
  CV* top() override { return forked_ ? nullptr : top_; }

  // What scripts with $| print within so many milliseconds from the beginning of the request leaves together.
  static constexpr std::uint64_t kGatherMs = 1;

 private:
  using Found = std::expected<Script*, std::string>;
  Found find(const std::string& path);
  void enter(const std::string& folder);
  void run(Script& script, int* status);
  void run_ends(Script& script, int* status);
  worker::Outcome finish(const std::string& path, bool ran);
  void restore(Script& script);
  [[noreturn]] void end_child(int status);
  void send_errors(bool all);
  static void before_fork();
  static void after_fork();
  static void in_child();

  // What is printed while a script is compiled; else nothing.
  std::string* printed_ = nullptr;
  Globals globals_;
  Environment environment_;
  StandardHandles handles_;
  ChildOutput child_output_;
  CgiOutput output_;
  std::unordered_map<std::string, std::unique_ptr<Script>> scripts_;
  std::string folder_;  // the current one
  mode_t umask_ = 022;

  worker::Request* request_ = nullptr;
  CV* top_ = nullptr;
  bool forked_ = false;        // this process is a child of the worker's
  bool has_children_ = false;  // processes that scripts have started, and nobody has waited for yet
  bool left_ = false;          // nobody reads the response
  bool waiting_ = false;       // something printed is to leave before the script waits
  std::uint64_t began_ = 0;
  std::string error_line_;  // of STDERR, not whole yet
  std::string last_error_;
};

}  // namespace fivefold::perl
