#include "interpreter.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "guard.h"
#include "operators.h"
#include "stack.h"
#include "time_limit.h"

PerlInterpreter* my_perl = nullptr;

// Perl's own header declares it only for its own sources.
extern "C" void boot_DynaLoader(PerlInterpreter* my_perl, CV* cv);

namespace fivefold::perl {

namespace {

constexpr std::string_view kSettings[] = {"interface", "psgi", "path", "preload"};

void load_extensions(PerlInterpreter* my_perl) { newXS("DynaLoader::boot_DynaLoader", boot_DynaLoader, __FILE__); }

std::string absolute(const std::string& root, const std::string& file) {
  return file.starts_with('/') || root.empty() ? file : root + (root.ends_with('/') ? "" : "/") + file;
}

}  // namespace

std::span<const std::string_view> Perl::settings() const { return kSettings; }

std::string Perl::version() { return "Perl " PERL_VERSION_STRING; }

std::expected<void, std::string> Perl::start_interpreter() {
  PERL_SYS_INIT3(&argc_, &argv_, &environ);
  my_perl = perl_alloc();
  if (my_perl == nullptr) return std::unexpected(std::string("There is no memory for Perl."));
  perl_construct(my_perl);
  PL_exit_flags |= PERL_EXIT_DESTRUCT_END;
  wrap_operators();
  // Perl writes into the words of its command line.
  static char name[] = "fivefold-perl";
  static char option[] = "-e";
  static char program[] = "0";
  static char* words[] = {name, option, program, nullptr};
  if (perl_parse(my_perl, &load_extensions, 3, words, environ) != 0 || perl_run(my_perl) != 0)
    return std::unexpected(std::string("Perl could not be started."));
  AV* inc = get_av("INC", GV_ADD);
  const std::vector<std::string> folders = settings_->all("path");
  av_unshift(inc, static_cast<SSize_t>(folders.size()));
  for (std::size_t i = 0; i < folders.size(); ++i) {
    const std::string folder = absolute(settings_->one("root"), folders[i]);
    av_store(inc, static_cast<SSize_t>(i), newSVpvn(folder.data(), folder.size()));
  }
  return {};
}

std::expected<void, std::string> Perl::start(const worker::Settings& settings) {
  settings_ = &settings;
  const std::string interface = settings.one("interface", settings.has("psgi") ? "psgi" : "cgi");
  if (interface != "cgi" && interface != "psgi")
    return std::unexpected("interface=" + interface + " is not known to this executable; it knows cgi and psgi.");
  const std::string root = settings.one("root");
  if (!root.empty() && chdir(root.c_str()) != 0)
    return std::unexpected("The program's folder " + root + " cannot be entered: " + strerror(errno));
  if (interface == "psgi" && !settings.has("psgi"))
    return std::unexpected(std::string("Which application? Say psgi=app.psgi."));
  // By it Mojolicious knows that its caller wants the application, and Dancer which settings it takes.
  if (interface == "psgi") setenv("PLACK_ENV", "deployment", 0);
  if (auto started = start_interpreter(); !started) return started;
  if (interface == "cgi") {
    registry_ = std::make_unique<Registry>();
    registry_->start();
  } else {
    psgi_ = std::make_unique<Psgi>();
  }
  for (const std::string& file : settings.all("preload")) {
    if (file == "no") continue;
    if (auto loaded = preload(absolute(root, file)); !loaded) return loaded;
  }
  if (psgi_ && settings.one("preload") != "no") return psgi_->load(absolute(root, settings.one("psgi")));
  return {};
}

std::expected<void, std::string> Perl::preload(const std::string& file) {
  if (registry_ && !file.ends_with(".pm")) return registry_->preload(file);
  SV* name = newSVpvn(file.data(), file.size());
  auto loading = [name] {
    ENTER;
    SAVETMPS;
    dSP;
    PUSHMARK(SP);
    XPUSHs(name);
    PUTBACK;
    eval_pv("sub Fivefold::require { require $_[0] }", TRUE);
    call_pv("Fivefold::require", G_VOID | G_DISCARD | G_EVAL);
    FREETMPS;
    LEAVE;
  };
  const Ended ended = guarded(loading);
  SvREFCNT_dec(name);
  if (ended == Ended::exited) return std::unexpected("The module " + file + " called exit while it was loaded.");
  if (SvTRUE(ERRSV)) return std::unexpected("The module " + file + " could not be loaded: " + error_text());
  return {};
}

void Perl::show_stack() { perl::show_stack(); }

void Perl::after_fork_in_worker() {
  TimeLimit::start();
  watch_for_question();
  if (registry_ && !registry_->start_worker()) {
    std::perror("A pipe for the output of scripts");
    _exit(1);
  }
  if (psgi_) psgi_->start_worker();
}

void Perl::work(worker::Channels& channels) {
  if (psgi_ && !psgi_->loaded()) {
    if (const auto loaded = psgi_->load(absolute(settings_->one("root"), settings_->one("psgi"))); !loaded) {
      std::fprintf(stderr, "%s\n", loaded.error().c_str());
      return;
    }
  }
  Interpreter::work(channels);
}

worker::Outcome Perl::serve(worker::Request& request) {
  return registry_ ? registry_->serve(request) : psgi_->serve(request);
}

// END blocks of modules and what objects do when they are destroyed.
void Perl::leave() { perl_destruct(my_perl); }

}  // namespace fivefold::perl
