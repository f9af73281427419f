#include "psgi_environment.h"

#include <charconv>

namespace fivefold::perl {

namespace {

enum Fixed {
  version,
  scheme,
  input_key,
  errors_key,
  multithread,
  multiprocess,
  run_once,
  nonblocking,
  streaming,
  input_buffered,
  harakiri,
  cleanup,
  cleanup_handlers,
  informational_key,
  script_name,
  path_info,
  query_string,
  content_length,
  fixed_count
};
constexpr std::string_view kFixed[fixed_count] = {
    "psgi.version",           "psgi.url_scheme",      "psgi.input",     "psgi.errors",
    "psgi.multithread",       "psgi.multiprocess",    "psgi.run_once",  "psgi.nonblocking",
    "psgi.streaming",         "psgix.input.buffered", "psgix.harakiri", "psgix.cleanup",
    "psgix.cleanup.handlers", "psgix.informational",  "SCRIPT_NAME",    "PATH_INFO",
    "QUERY_STRING",           "CONTENT_LENGTH"};

GV* new_handle() {
  GV* gv = reinterpret_cast<GV*>(newSV(0));
  gv_init_pvn(gv, gv_stashpvs("Fivefold::Input", GV_ADD), "body", 4, 0);
  (void)GvIOn(gv);
  return gv;
}

void open_text(GV* gv, SV* text) {
  SV* from = newRV_inc(text);
  char mode[] = "<";
  Perl_do_open6(aTHX_ gv, mode, 1, nullptr, &from, 1);
  SvREFCNT_dec(from);
}

// The server looks at a path with its empty parts left out, and so gives it; PSGI wants them: "//foo///bar". What the
// client wrote, decoded, is taken where it is the same path but for these.
std::string with_empty_parts(std::string_view uri, std::string_view script_name, std::string_view path) {
  const std::string_view raw = uri.substr(0, uri.find('?'));
  if (raw.find("//") == std::string_view::npos) return {};
  std::string decoded;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    int byte = 0;
    const bool escape = raw[i] == '%' && i + 2 < raw.size() &&
                        std::from_chars(raw.data() + i + 1, raw.data() + i + 3, byte, 16).ptr == raw.data() + i + 3;
    decoded += escape ? static_cast<char>(byte) : raw[i];
    if (escape) i += 2;
  }
  if (!decoded.starts_with(script_name)) return {};
  decoded.erase(0, script_name.size());
  std::string merged;
  for (const char c : decoded) {
    if (c != '/' || !merged.ends_with('/')) merged += c;
  }
  return merged == path ? decoded : std::string();
}

SV* truth(bool value) { return newSVsv(value ? &PL_sv_yes : &PL_sv_no); }

}  // namespace

void PsgiEnvironment::start(CV* informational) {
  for (std::string_view name : kFixed) {
    Key key{std::string(name)};
    PERL_HASH(key.hash, name.data(), name.size());
    key.key = newSVpvn_share(name.data(), static_cast<I32>(name.size()), key.hash);
    fixed_.push_back(key);
  }
  version_ = newAV();
  av_push(version_, newSViv(1));
  av_push(version_, newSViv(1));
  errors_ = PL_stderrgv;
  nothing_ = newSVpvs("");
  informational_ = informational;
}

void PsgiEnvironment::put(HV* env, Key& key, SV* value) { (void)hv_store_ent(env, key.key, value, key.hash); }

PsgiEnvironment::Key& PsgiEnvironment::key_at(std::size_t place, std::string_view name) {
  if (place >= keys_.size()) keys_.resize(place + 1);
  Key& key = keys_[place];
  if (key.key != nullptr && key.name == name) return key;
  SvREFCNT_dec(key.key);
  key.name = name;
  PERL_HASH(key.hash, name.data(), name.size());
  key.key = newSVpvn_share(name.data(), static_cast<I32>(name.size()), key.hash);
  return key;
}

SV* PsgiEnvironment::empty_input() {
  if (empty_ == nullptr) empty_ = new_handle();
  IO* io = GvIOn(empty_);
  if (IoIFP(io) == nullptr) {
    open_text(empty_, nothing_);
  } else {
    PerlIO_clearerr(IoIFP(io));
  }
  IoLINES(io) = 0;
  return newRV_inc(reinterpret_cast<SV*>(empty_));
}

// The whole body: psgix.input.buffered promises that it can be read twice.
SV* PsgiEnvironment::input(worker::Request& request, std::uint64_t& length) {
  if (request.body_length() == 0) return empty_input();
  const bool known = request.body_length() != worker::protocol::kUnknownLength;
  SV* text = newSVpvs("");
  if (known && request.body_length() <= kBodyInMemory) SvGROW(text, request.body_length() + 1);
  PerlIO* file = nullptr;
  length = 0;
  while (true) {
    const STRLEN have = SvCUR(text);
    char* to = SvGROW(text, have + 16384 + 1) + have;
    const ssize_t got = request.read_body(to, SvLEN(text) - have - 1, true);
    if (got == worker::Request::kInterrupted) {
      PERL_ASYNC_CHECK();
      continue;
    }
    if (got < 0) {
      SvREFCNT_dec(text);
      if (file != nullptr) PerlIO_close(file);
      return nullptr;
    }
    if (got == 0) break;
    length += static_cast<std::uint64_t>(got);
    SvCUR_set(text, have + static_cast<STRLEN>(got));
    if (SvCUR(text) <= kBodyInMemory && file == nullptr) continue;
    if (file == nullptr) file = PerlIO_tmpfile();
    if (file == nullptr || PerlIO_write(file, SvPVX(text), SvCUR(text)) != static_cast<SSize_t>(SvCUR(text))) {
      SvREFCNT_dec(text);
      return nullptr;
    }
    SvCUR_set(text, 0);
  }
  GV* gv = new_handle();
  if (file != nullptr) {
    PerlIO_seek(file, 0, SEEK_SET);
    IO* io = GvIOn(gv);
    IoIFP(io) = IoOFP(io) = file;
    IoTYPE(io) = IoTYPE_RDWR;
  } else {
    *SvEND(text) = '\0';
    open_text(gv, text);
  }
  SvREFCNT_dec(text);
  return newRV_noinc(reinterpret_cast<SV*>(gv));
}

HV* PsgiEnvironment::build(worker::Request& request) {
  std::uint64_t length = 0;
  SV* body = input(request, length);
  if (body == nullptr) return nullptr;
  HV* env = newHV();
  hv_ksplit(env, 64);
  bool secure = false;
  bool have_script = false;
  bool have_path = false;
  std::string path;
  bool have_query = false;
  std::size_t place = 0;
  for (const worker::Variable& one : request.variables()) {
    std::string_view value = one.value;
    if (one.name.starts_with("HTTP_CONTENT_") && (one.name == "HTTP_CONTENT_TYPE" || one.name == "HTTP_CONTENT_LENGTH"))
      continue;
    if (one.name == "HTTPS") secure = value == "on" || value == "1";
    if (one.name == "SCRIPT_NAME") {
      have_script = true;
      if (value == "/") value = "";
    }
    if (one.name == "PATH_INFO") {
      have_path = true;
      const std::string_view script = request.variable("SCRIPT_NAME");
      path = with_empty_parts(request.variable("REQUEST_URI"), script == "/" ? std::string_view() : script, value);
      if (!path.empty()) value = path;
    }
    have_query = have_query || one.name == "QUERY_STRING";
    if (value.empty() && (one.name == "CONTENT_LENGTH" || one.name == "CONTENT_TYPE")) continue;
    put(env, key_at(place++, one.name), newSVpvn(value.data(), value.size()));
  }
  if (!have_script) put(env, fixed_[script_name], newSVpvs(""));
  if (!have_path) put(env, fixed_[path_info], newSVpvs(""));
  if (!have_query) put(env, fixed_[query_string], newSVpvs(""));
  if (length > 0 && request.body_length() == worker::protocol::kUnknownLength)
    put(env, fixed_[content_length], newSVuv(length));
  put(env, fixed_[version], newRV_inc(reinterpret_cast<SV*>(version_)));
  put(env, fixed_[scheme],
      secure || request.variable("REQUEST_SCHEME") == "https" ? newSVpvs("https") : newSVpvs("http"));
  put(env, fixed_[input_key], body);
  put(env, fixed_[errors_key], newRV_inc(reinterpret_cast<SV*>(errors_)));
  for (Fixed name : {multithread, run_once, nonblocking}) put(env, fixed_[name], truth(false));
  for (Fixed name : {multiprocess, streaming, input_buffered, harakiri, cleanup}) put(env, fixed_[name], truth(true));
  put(env, fixed_[cleanup_handlers], newRV_noinc(reinterpret_cast<SV*>(newAV())));
  put(env, fixed_[informational_key], newRV_inc(reinterpret_cast<SV*>(informational_)));
  return env;
}

}  // namespace fivefold::perl
