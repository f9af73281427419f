#include "psgi.h"

#include <unistd.h>

#include "guard.h"
#include "time_limit.h"

namespace fivefold::perl {

namespace {

constexpr int kError = 3;  // of syslog(3)

// `do` compiles the file in the package that it is said in.
constexpr char kLoader[] = R"PERL(
package Fivefold::App;
sub Fivefold::Psgi::load {
  my ($file) = @_;
  local ($@, $!);
  my $app = do $file;
  die $@ if $@;
  die "$file cannot be read: $!\n" if !defined $app && $!;
  $app = $app->to_app if Scalar::Util::blessed($app) && $app->can('to_app');
  return $app if ref $app eq 'CODE' || (Scalar::Util::blessed($app) && overload::Method($app, '&{}'));
  die "$file must end with the application, a subroutine; it ended with "
    . (defined $app ? ref $app || "\"$app\"" : 'undef') . ".\n";
}
require IO::File; require IO::Handle; require Scalar::Util; require overload;
package Fivefold::Input; our @ISA = ('IO::File');
1;
)PERL";

PsgiResponse* response = nullptr;
SV* application = nullptr;

// Calls the application with its argument, and sends what it returns; dies as it dies.
XS(run_application) {
  dXSARGS;
  PERL_UNUSED_VAR(cv);
  if (items != 1) Perl_croak(aTHX_ "A request has one environment");
  SV* env = ST(0);
  ENTER;
  SAVETMPS;
  PUSHMARK(SP);
  XPUSHs(env);
  PUTBACK;
  call_sv(application, G_SCALAR);
  SPAGAIN;
  SV* returned = POPs;
  PUTBACK;
  response->take(returned);
  FREETMPS;
  LEAVE;
  XSRETURN_EMPTY;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

std::expected<void, std::string> Psgi::load(const std::string& file) {
  response = &response_;
  response_.start();
  environment_.start(response_.informational());
  run_ = newXS("Fivefold::Psgi::run", run_application, __FILE__);
  // $0 without the magic that renames the process.
  GV* name = gv_fetchpvs("0", GV_ADD, SVt_PV);
  SvREFCNT_dec(GvSV(name));
  GvSV(name) = newSVpvn(file.data(), file.size());
  SV* argument = newSVpvn(file.data(), file.size());
  SV* app = nullptr;
  auto loading = [argument, &app] {
    eval_pv(kLoader, TRUE);
    dSP;
    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    XPUSHs(argument);
    PUTBACK;
    call_pv("Fivefold::Psgi::load", G_SCALAR | G_EVAL);
    SPAGAIN;
    app = newSVsv(POPs);
    PUTBACK;
    FREETMPS;
    LEAVE;
  };
  const Ended ended = guarded(loading);
  SvREFCNT_dec(argument);
  if (ended == Ended::exited) return std::unexpected("The application " + file + " called exit while it was loaded.");
  if (SvTRUE(ERRSV)) return std::unexpected("The application could not be loaded: " + error_text());
  application_ = application = app;
  return {};
}

void Psgi::start_worker() {
  handles_.start(Connect::errors_only, -1);
  PL_srand_called = FALSE;
}

bool Psgi::errors(std::string_view bytes) {
  error_line_.append(bytes);
  const std::size_t whole = error_line_.rfind('\n') + 1;
  if (whole == 0) return true;
  request_->log(kError, std::string_view(error_line_).substr(0, whole));
  error_line_.erase(0, whole);
  return true;
}

void Psgi::log_rest() {
  if (!error_line_.empty()) request_->log(kError, error_line_);
  error_line_.clear();
}

worker::Outcome Psgi::outcome(bool exited) {
  worker::Outcome result;
  if (!exited && !SvTRUE(ERRSV)) return result;
  std::string text = exited ? std::string("The application called exit.") : error_text();
  if (!exited || !TimeLimit::passed()) request_->log(kError, text);
  const bool sent = response_.begun();
  result.faults = sent ? worker::protocol::kBroken : worker::protocol::kFailed;
  if (TimeLimit::passed()) result.faults |= worker::protocol::kTimedOut;
  result.text = TimeLimit::passed() && exited ? "The application was ended: the time limit of the request had passed."
                                              : first_line(text);
  return result;
}

worker::Outcome Psgi::serve(worker::Request& request) {
  request_ = &request;
  // What Perl's functions put by for later is freed with this scope.
  ENTER;
  SAVETMPS;
  const worker::Outcome result = serve_one(request);
  FREETMPS;
  LEAVE;
  request_ = nullptr;
  return result;
}

worker::Outcome Psgi::serve_one(worker::Request& request) {
  HV* env = environment_.build(request);
  if (env == nullptr) return {false, worker::protocol::kFailed, "The body of the request did not become whole."};
  SV* argument = newRV_noinc(reinterpret_cast<SV*>(env));
  handles_.connect(*this);
  response_.begin(request);
  TimeLimit::set(request.time_limit_ms());
  auto call = [this, argument] {
    dSP;
    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    XPUSHs(argument);
    PUTBACK;
    call_sv(reinterpret_cast<SV*>(run_), G_VOID | G_DISCARD | G_EVAL);
    FREETMPS;
    LEAVE;
  };
  const pid_t pid = PerlProc_getpid();
  int status = 0;
  const bool exited = guarded(call, &status) == Ended::exited;
  if (pid != PerlProc_getpid()) {  // a child that the application has forked
    standard_handles_in_child();
    PerlIO_flush(nullptr);
    _exit(perl_destruct(my_perl));
  }
  TimeLimit::clear();
  TimeLimit::forget();
  worker::Outcome result = outcome(exited);
  response_.end();
  if (result.faults == 0) clean_up(env);
  if (SV** commit = hv_fetchs(env, "psgix.harakiri.commit", 0); commit != nullptr && SvTRUE(*commit))
    result.leave = true;
  SvREFCNT_dec(argument);
  log_rest();
  handles_.restore();
  handles_.disconnect();
  return result;
}

// psgix.cleanup: after the response has left.
void Psgi::clean_up(HV* env) {
  SV** found = hv_fetchs(env, "psgix.cleanup.handlers", 0);
  if (found == nullptr || !SvROK(*found) || SvTYPE(SvRV(*found)) != SVt_PVAV) return;
  AV* handlers = reinterpret_cast<AV*>(SvRV(*found));
  if (av_count(handlers) == 0) return;
  request_->finish();
  for (SSize_t i = 0; i < static_cast<SSize_t>(av_count(handlers)); ++i) {
    SV** handler = av_fetch(handlers, i, 0);
    if (handler == nullptr) continue;
    auto call = [handler, env] {
      dSP;
      ENTER;
      SAVETMPS;
      PUSHMARK(SP);
      XPUSHs(sv_2mortal(newRV_inc(reinterpret_cast<SV*>(env))));
      PUTBACK;
      call_sv(*handler, G_VOID | G_DISCARD | G_EVAL);
      FREETMPS;
      LEAVE;
    };
    if (guarded(call) == Ended::returned && SvTRUE(ERRSV)) request_->log(kError, error_text());
  }
}

}  // namespace fivefold::perl
