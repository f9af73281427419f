#pragma once
// Perl as the language of a worker: started once in the zygote, with scripts or the application compiled, then forked.
#include "perl_api.h"
#include "psgi.h"
#include "registry.h"

namespace fivefold::perl {

class Perl : public worker::Interpreter {
 public:
  // `argv` of main: Perl writes into it when a script sets $0.
  Perl(int argc, char** argv) : argc_(argc), argv_(argv) {}

  std::span<const std::string_view> settings() const override;
  std::expected<void, std::string> start(const worker::Settings& settings) override;
  std::string version() override;
  void after_fork_in_worker() override;
  void show_stack() override;
  void work(worker::Channels& channels) override;
  worker::Outcome serve(worker::Request& request) override;
  void leave() override;

 private:
  std::expected<void, std::string> start_interpreter();
  std::expected<void, std::string> preload(const std::string& file);

  int argc_;
  char** argv_;
  const worker::Settings* settings_ = nullptr;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Psgi> psgi_;
};

}  // namespace fivefold::perl
