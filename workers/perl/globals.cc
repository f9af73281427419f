#include <csignal>

#include "fast_cgi.h"
#include "globals.h"
#include "guard.h"
#include "operators.h"

namespace fivefold::perl {

namespace {

SV* hook(const char* name) {
  SV** entry = hv_fetch(get_hv("SIG", GV_ADD), name, static_cast<I32>(strlen(name)), 1);
  return *entry;
}

// $SIG{__WARN__} or $SIG{__DIE__}. The element must hold it, not only Perl's own pointer: `local` gives it back from
// there.
void set_hook(const char* name, SV* value) {
  SV* entry = hook(name);
  if (value == nullptr ? !SvOK(entry) : SvROK(entry) && SvROK(value) && SvRV(entry) == SvRV(value)) return;
  if (value == nullptr) {
    sv_set_undef(entry);
  } else {
    sv_setsv(entry, value);
  }
  SvSETMAGIC(entry);
}

SV* copy_of_hook(const char* name) {
  SV* entry = hook(name);
  return SvOK(entry) ? newSVsv(entry) : nullptr;
}

void keep(SV** kept, SV* value) {
  SvREFCNT_inc(value);
  SvREFCNT_dec(*kept);
  *kept = value;
}

// Perl warns of variables that would keep the values of the first run. Lexicals sees to it that they do not.
XS(warn_while_compiling) {
  dXSARGS;
  if (items > 0 && bytes_of(ST(0)).find("\" will not stay shared at ") == std::string_view::npos) warn_sv(ST(0));
  PERL_UNUSED_VAR(ax);
  PERL_UNUSED_VAR(cv);
  XSRETURN_EMPTY;
}

IV fatals_to_browser() {
  SV* value = get_sv("CGI::Carp::WRAP", 0);
  return value != nullptr ? SvIV(value) : 0;
}

void set_fatals_to_browser(IV to) {
  if (SV* value = get_sv("CGI::Carp::WRAP", 0); value != nullptr && SvIV(value) != to) sv_setiv(value, to);
}

// What CGI.pm keeps of a request, for a process that has only one.
void forget_query() {
  if (gv_stashpvs("CGI", 0) == nullptr) return;
  for (const char* name : {"CGI::Q", "CGI::QUERY_CHARSET"}) {
    if (SV* value = get_sv(name, 0)) sv_set_undef(value);
  }
  if (SV* printed = get_sv("CGI::BEEN_THERE", 0)) sv_setiv(printed, 0);
  if (AV* names = get_av("CGI::QUERY_PARAM", 0)) av_clear(names);
  for (const char* name : {"CGI::QUERY_PARAM", "CGI::QUERY_FIELDNAMES", "CGI::QUERY_TMPFILES"}) {
    if (HV* values = get_hv(name, 0)) hv_clear(values);
  }
}

SV* handler_of(int number) {
  const char* name = PL_sig_name[number];
  return *hv_fetch(get_hv("SIG", GV_ADD), name, static_cast<I32>(strlen(name)), 1);
}

void reset_signals() {
  for (int number = 1; number < SIGRTMIN; ++number) {
    if (PL_psig_ptr[number] == nullptr) continue;
    SV* entry = handler_of(number);
    sv_set_undef(entry);
    SvSETMAGIC(entry);
    if (number == SIGPIPE) std::signal(SIGPIPE, SIG_IGN);
  }
}

void set_format(GV* gv, CV* form) {
  if (GvFORM(gv) == form) return;
  SvREFCNT_dec(GvFORM(gv));
  GvFORM(gv) = reinterpret_cast<CV*>(SvREFCNT_inc(reinterpret_cast<SV*>(form)));
}

}  // namespace

void Globals::start() {
  loaded_ = get_hv("INC", GV_ADD);
  folders_ = get_av("INC", GV_ADD);
  list_separator_ = gv_fetchpvs("\"", GV_ADD, SVt_PV);
  key_separator_ = gv_fetchpvs(";", GV_ADD, SVt_PV);
  name_gv_ = gv_fetchpvs("0", GV_ADD, SVt_PV);
  name_ = newSVpvs("");
  set_name("");
  format_ = gv_fetchpvs("STDOUT", GV_ADD, SVt_PVIO);
  format_top_ = gv_fetchpvs("STDOUT_TOP", GV_ADD, SVt_PVFM);
  for (SSize_t i = 0; i < static_cast<SSize_t>(av_count(folders_)); ++i)
    inc_.emplace_back(bytes_of(*av_fetch(folders_, i, 1)));
  libraries_ = HvUSEDKEYS(loaded_);
  CV* filter = newXS("Fivefold::warn_while_compiling", warn_while_compiling, __FILE__);
  filter_ = newRV_inc(reinterpret_cast<SV*>(filter));
}

void Globals::set_inc(const std::vector<std::string>& folders) {
  av_clear(folders_);
  for (const std::string& folder : folders) av_push(folders_, newSVpvn(folder.data(), folder.size()));
}

void Globals::set_name(const std::string& path) {
  if (GvSV(name_gv_) != name_) {
    SvREFCNT_dec(GvSV(name_gv_));
    GvSV(name_gv_) = SvREFCNT_inc(name_);
  }
  sv_setpvn(name_, path.data(), path.size());
}

void Globals::begin_compilation(const std::string& path, bool warnings) {
  set_name(path);
  set_inc(inc_);
  set_hook("__WARN__", filter_);
  set_hook("__DIE__", nullptr);
  set_fatals_to_browser(0);
  set_format(format_, nullptr);
  set_format(format_top_, nullptr);
  evals_ = PL_evalseq;
  PL_dowarn = warnings ? PL_dowarn | G_WARN_ON : static_cast<U8>(PL_dowarn & ~G_WARN_ON);
  last_ = nullptr;
}

void Globals::end_compilation(ScriptGlobals& script) {
  script.evals = PL_evalseq - evals_ - 1;
  if (SV* warn = hook("__WARN__"); SvROK(warn) && SvRV(warn) == SvRV(filter_)) set_hook("__WARN__", nullptr);
  script.warn_hook = copy_of_hook("__WARN__");
  script.die_hook = copy_of_hook("__DIE__");
  script.fatals_to_browser = fatals_to_browser();
  keep(reinterpret_cast<SV**>(&script.format), reinterpret_cast<SV*>(GvFORM(format_)));
  keep(reinterpret_cast<SV**>(&script.format_top), reinterpret_cast<SV*>(GvFORM(format_top_)));
  script.inc.clear();
  for (SSize_t i = 0; i < static_cast<SSize_t>(av_count(folders_)); ++i)
    script.inc.emplace_back(bytes_of(*av_fetch(folders_, i, 1)));
  take_libraries(script);
  for (const auto& [number, handler] : script.signals) SvREFCNT_dec(handler);
  script.signals.clear();
  for (int number = 1; number < SIGRTMIN; ++number) {
    if (PL_psig_ptr[number] != nullptr) script.signals.emplace_back(number, newSVsv(handler_of(number)));
  }
  reset_signals();
  for (const auto& [name, value] : script.separators) SvREFCNT_dec(value);
  script.separators.clear();
  static constexpr std::pair<const char*, std::string_view> kUsual[] = {
      {"/", "\n"}, {"\\", ""}, {",", ""}, {"\"", " "}};
  for (const auto& [name, usual] : kUsual) {
    SV* value = get_sv(name, GV_ADD);
    SvGETMAGIC(value);
    const bool as_usual = SvOK(value) ? !SvROK(value) && bytes_of(value) == usual : usual.empty();
    if (!as_usual) script.separators.emplace_back(name, newSVsv(value));
  }
  reset_separators();
}

// A file without a package of its own defines its subroutines in the script that requires it: another script must get
// its own, as it would in a process of its own.
void Globals::take_libraries(ScriptGlobals& script) {
  if (HvUSEDKEYS(loaded_) == libraries_) return;
  watch_accept();
  watch_functions();
  std::vector<std::string> found;
  hv_iterinit(loaded_);
  while (HE* entry = hv_iternext(loaded_)) {
    STRLEN size = 0;
    const char* name = HePV(entry, size);
    if (!std::string_view(name, size).ends_with(".pm")) found.emplace_back(name, size);
  }
  for (const std::string& name : found) {
    SV* value = hv_delete(loaded_, name.data(), static_cast<I32>(name.size()), 0);
    if (value != nullptr) script.own_libraries.emplace_back(name, SvREFCNT_inc(value));
  }
  libraries_ = HvUSEDKEYS(loaded_);
}

void Globals::begin(const std::string& path, ScriptGlobals& script) {
  set_name(path);
  renew_accept();
  PL_basetime = time(nullptr);
  PL_evalseq = script.evals;
  PL_last_in_gv = nullptr;  // what messages name as "<FILE> line 5"
  set_hook("__WARN__", script.warn_hook);
  set_hook("__DIE__", script.die_hook);
  set_fatals_to_browser(script.fatals_to_browser);
  PL_dowarn = script.warnings ? PL_dowarn | G_WARN_ON : static_cast<U8>(PL_dowarn & ~G_WARN_ON);
  for (const auto& [number, handler] : script.signals) {
    SV* entry = handler_of(number);
    sv_setsv(entry, handler);
    SvSETMAGIC(entry);
  }
  for (const auto& [name, value] : script.separators) sv_setsv_mg(get_sv(name, GV_ADD), value);
  if (!script.own_libraries.empty()) {
    for (const auto& [name, value] : script.own_libraries)
      (void)hv_store(loaded_, name.data(), static_cast<I32>(name.size()), SvREFCNT_inc(value), 0);
  }
  if (last_ == &script) return;
  last_ = &script;
  set_format(format_, script.format);
  set_format(format_top_, script.format_top);
  set_inc(script.inc);
  if (CV* again = get_cv("FindBin::again", 0)) {
    dSP;
    PUSHMARK(SP);
    call_sv(reinterpret_cast<SV*>(again), G_VOID | G_DISCARD | G_EVAL);
  }
}

void Globals::reset_separators() {
  static constexpr std::pair<const char*, std::string_view> kOfFormats[] = {{":", " \n-"}, {"\014", "\f"}};  // $: $^L
  for (const auto& [name, usual] : kOfFormats) {
    SV* value = get_sv(name, 0);
    if (value != nullptr && SvOK(value) && bytes_of(value) != usual) sv_setpvn_mg(value, usual.data(), usual.size());
  }
  if (PL_rs == nullptr || !SvPOK(PL_rs) || SvCUR(PL_rs) != 1 || *SvPVX(PL_rs) != '\n')
    sv_setpvs_mg(get_sv("/", GV_ADD), "\n");
  if (PL_ors_sv != nullptr) sv_setsv_mg(get_sv("\\", GV_ADD), &PL_sv_undef);
  if (GvSV(PL_ofsgv) != nullptr && SvOK(GvSV(PL_ofsgv))) sv_setsv_mg(GvSV(PL_ofsgv), &PL_sv_undef);
  if (SV* list = GvSVn(list_separator_); !SvPOK(list) || bytes_of(list) != " ") sv_setpvs_mg(list, " ");
  if (SV* keys = GvSVn(key_separator_); !SvPOK(keys) || bytes_of(keys) != "\034") sv_setpvs_mg(keys, "\034");
}

void Globals::end(ScriptGlobals& script) {
  reset_separators();
  if (PL_bodytarget != nullptr && SvPOK(PL_bodytarget)) {  // $^A, and the lines in it
    sv_setpvs(PL_bodytarget, "");
    FmLINES(PL_bodytarget) = 0;
  }
  if (SvOK(ERRSV)) CLEAR_ERRSV();
  reset_signals();
  forget_query();
  for (const auto& [name, value] : script.own_libraries)
    (void)hv_delete(loaded_, name.data(), static_cast<I32>(name.size()), G_DISCARD);
  take_libraries(script);
  // push @INC in the body of a script would make it longer with each request.
  if (av_count(folders_) != script.inc.size()) set_inc(script.inc);
}

}  // namespace fivefold::perl
