#pragma once
// One request to an application: an instance, a connection, the call, the answer.
#include <memory>

#include "exchange/exchange.h"
#include "models/app/app_program.h"
#include "upstream/call.h"

namespace fivefold::models::app {

class AppHandler final : public exchange::Handler {
 public:
  explicit AppHandler(std::shared_ptr<const AppProgram> program) : program_(std::move(program)) {}
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override;

 private:
  using Program = std::shared_ptr<const AppProgram>;
  struct Attempt;
  static net::Task<Result<void>> receive_body(Program program, exchange::Request& request, exchange::Exchange& exchange,
                                              Attempt& attempt);
  static net::Task<Result<std::unique_ptr<process::Lease>>> find_instance(Program program, Attempt& attempt,
                                                                          exchange::Exchange& exchange);
  static net::Task<upstream::CallResult> call(Program program, std::unique_ptr<upstream::Connection> connection,
                                              std::unique_ptr<process::Lease> lease, Attempt& attempt,
                                              exchange::Request& request, exchange::Exchange& exchange);
  static net::Task<Result<exchange::Response>> respond(Program program, upstream::Answer answer, std::uint32_t instance,
                                                       exchange::Request& request, exchange::Exchange& exchange);

  Program program_;
};

}  // namespace fivefold::models::app
