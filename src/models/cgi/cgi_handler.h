#pragma once
// One request to a CGI program.
#include <memory>

#include "exchange/exchange.h"
#include "models/cgi/cgi_program.h"
#include "models/cgi/running_script.h"

namespace fivefold::models::cgi {

class CgiHandler final : public exchange::Handler {
 public:
  explicit CgiHandler(std::shared_ptr<const CgiProgram> program) : program_(std::move(program)) {}
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override;

 private:
  using Program = std::shared_ptr<const CgiProgram>;
  static net::Task<Result<std::unique_ptr<RunningScript>>> start(Program program, Script script,
                                                                 exchange::Request& request,
                                                                 exchange::Exchange& exchange);
  static net::Task<Result<exchange::Response>> respond(Program program, std::unique_ptr<RunningScript> running,
                                                       exchange::Request& request, exchange::Exchange& exchange);

  Program program_;
};

}  // namespace fivefold::models::cgi
