// fivefold-php: PHP as a module of the server. The zygote starts the engine and fills opcache's shared memory; its
// workers run the scripts.
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "channel/zygote.h"
#include "php/children.h"
#include "php/execution.h"
#include "php/functions.h"
#include "php/ini.h"
#include "php/loop.h"
#include "php/restart.h"
#include "php/sapi.h"
#include "php/server_variables.h"
#include "php/stack.h"

namespace fivefold::worker::php {

namespace {

constexpr std::uint32_t kRepeatStop = 1'000;  // ms: a shutdown function may need a stop of its own

class Php : public Interpreter {
 public:
  std::span<const std::string_view> settings() const override {
    static constexpr std::string_view known[] = {"ini", "admin", "preload", "worker"};
    return known;
  }

  std::expected<void, std::string> start(const Settings& settings) override {
    script_ = settings.one("worker");
    if (!script_.empty() && !script_.starts_with('/')) script_ = settings.one("root", ".") + "/" + script_;
    if (!script_.empty() && access(script_.c_str(), R_OK) != 0) {
      return std::unexpected("The worker script " + script_ + " cannot be read: " + std::strerror(errno) + ".");
    }
    zend_signal_startup();
    sapi_startup(&sapi);
    const auto lines = prepare_ini(settings);
    if (!lines) return std::unexpected(lines.error());
    sapi_module.ini_entries = strdup(lines->c_str());
    if (sapi_module.startup(&sapi_module) != SUCCESS)
      return std::unexpected("PHP could not be started; its own messages are above.");
    restore_name();
    watch_errors();
    lock_admin_settings(settings);
    // The handlers of the engine are set once; setting them anew with each request would cost seven system calls.
    SIGG(reset) = 0;
    if (!script_.empty()) {
      if (!share_restarts()) return std::unexpected("There is no memory for what the workers share.");
    }
    replace_opcache_reset();
    prepare_server_variables();
    watch_folder();
    watch_interrupts();
    return {};
  }

  std::string version() override { return std::string("PHP ") + zend_get_module_version("standard"); }

  void show_stack() override { php::show_stack(); }

  void after_fork_in_worker() override {
    // What a preloaded script may have begun: no two workers shall have the same random numbers.
    RANDOM_G(mt19937_seeded) = false;
    RANDOM_G(combined_lcg_seeded) = false;
    deadline.start(stop_script, kRepeatStop);
    watch_forks();
  }

  void work(Channels& channels) override {
    if (script_.empty()) {
      Interpreter::work(channels);
      return;
    }
    watch_restarts();
    run_loop(channels, script_);
  }

  Outcome serve(Request& request) override {
    begin_turn(request);
    deadline.set(request.time_limit_ms());
    execute(SG(request_info).path_translated == nullptr ? "" : SG(request_info).path_translated);
    return end_turn();
  }

 private:
  std::string script_;  // in worker mode
};

}  // namespace

}  // namespace fivefold::worker::php

int main(int argc, char** argv) {
  fivefold::worker::php::Php php;
  return fivefold::worker::run_zygote(php, argc, argv);
}
