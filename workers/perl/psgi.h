#pragma once
// interface=psgi: a PSGI application. Its three forms of response are in psgi_response.h.
#include <expected>

#include "perl_api.h"
#include "psgi_environment.h"
#include "psgi_response.h"
#include "standard_handles.h"

namespace fivefold::perl {

class Psgi : public Sinks {
 public:
  // `file` returns the application; it is run in its own folder's name ($0, FindBin), in the package Fivefold::App.
  std::expected<void, std::string> load(const std::string& file);
  bool loaded() const { return application_ != nullptr; }
  void start_worker();
  worker::Outcome serve(worker::Request& request);

  bool output(std::string_view bytes) override { return bytes.empty(); }
  bool errors(std::string_view bytes) override;
  ssize_t input(char*, std::size_t) override { return 0; }

 private:
  worker::Outcome serve_one(worker::Request& request);
  void log_rest();
  void clean_up(HV* env);
  worker::Outcome outcome(bool exited);

  SV* application_ = nullptr;
  CV* run_ = nullptr;
  PsgiEnvironment environment_;
  PsgiResponse response_;
  StandardHandles handles_;
  worker::Request* request_ = nullptr;
  std::string error_line_;  // of STDERR, not whole yet
};

}  // namespace fivefold::perl
