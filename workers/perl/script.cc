#include "script.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "guard.h"
#include "script_source.h"

namespace fivefold::perl {

namespace {

unsigned scripts = 0;

std::expected<std::string, std::string> contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected("The script " + path + " cannot be read: " + strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

// Calls take(gv, io) for every handle of a package that is open.
template <typename Take>
void each_open(std::string_view package, Take take) {
  HV* names = gv_stashpvn(package.data(), static_cast<U32>(package.size()), 0);
  if (names == nullptr) return;
  hv_iterinit(names);
  while (HE* entry = hv_iternext(names)) {
    GV* gv = reinterpret_cast<GV*>(HeVAL(entry));
    if (!isGV_with_GP(gv)) continue;
    IO* io = GvIO(gv);
    if (io != nullptr && (IoIFP(io) != nullptr || IoDIRP(io) != nullptr)) take(gv, io);
  }
}

SSize_t end_blocks() { return PL_endav == nullptr ? 0 : static_cast<SSize_t>(av_count(PL_endav)); }

}  // namespace

FileVersion FileVersion::of(const struct stat& file) { return {file.st_dev, file.st_ino, file.st_size, file.st_mtim}; }

bool FileVersion::operator==(const FileVersion& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec;
}

std::expected<std::unique_ptr<Script>, std::string> Script::compile(const std::string& path, FileVersion version,
                                                                    Globals& globals, bool main_free) {
  auto text = contents(path);
  if (!text) return std::unexpected(text.error());
  auto script = std::make_unique<Script>();
  script->path_ = path;
  script->folder_ = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  script->version_ = version;
  script->package_ = package_of(path, ++scripts);
  ScriptSource source = read_script(*text, script->package_);
  if (source.names_main && main_free) {
    script->package_ = "main";
    source = read_script(*text, script->package_);
  }
  script->utf8_ = source.utf8;
  script->globals_.warnings = source.warnings;
  globals.begin_compilation(path, source.warnings);
  script->handles_.begin();
  for (std::size_t i = 0; i < std::size(source.unicode); ++i) {
    if (source.unicode[i]) HandleSetup::add_layer(i, ":utf8");
  }
  if (source.newlines) sv_setpvs_mg(get_sv("\\", GV_ADD), "\n");
  SV* code = newSVpvn("", 0);
  {
    const std::string whole = wrap_script(source, script->package_, path);
    sv_setpvn(code, whole.data(), whole.size());
  }
  auto compilation = [code] { eval_sv(code, G_VOID | G_DISCARD | G_EVAL); };
  const Ended ended = guarded(compilation);
  SvREFCNT_dec(code);
  script->take_ends();
  script->handles_.end();
  globals.end_compilation(script->globals_);
  if (ended == Ended::exited) return std::unexpected("The script " + path + " called exit while it was compiled.");
  if (SvTRUE(ERRSV)) return std::unexpected(error_text());
  script->top_ = get_cv((script->package_ + "::" + std::string(kRun)).c_str(), 0);
  if (script->top_ == nullptr) return std::unexpected("The script " + path + " could not be compiled.");
  SvREFCNT_inc_simple_void_NN(reinterpret_cast<SV*>(script->top_));
  script->lexicals_.find(script->top_, path, script->ends_);
  script->data_ = std::move(source.data);
  each_open(script->package_, [&script](GV* gv, IO*) { script->kept_open_.push_back(gv); });
  if (source.taint)
    std::fprintf(stderr, "%s asks for taint checks (-T), which the Perl in the server does not make.\n", path.c_str());
  if (source.names_main && !main_free)
    std::fprintf(stderr,
                 "%s names the package main, which belongs to another script of this program already: give it a "
                 "program of its own, or model = \"cgi\".\n",
                 path.c_str());
  return script;
}

Script::~Script() {
  SvREFCNT_dec(reinterpret_cast<SV*>(top_));
  for (CV* end : ends_) SvREFCNT_dec(reinterpret_cast<SV*>(end));
  SvREFCNT_dec(data_text_);
  SvREFCNT_dec(globals_.warn_hook);
  SvREFCNT_dec(globals_.die_hook);
  SvREFCNT_dec(reinterpret_cast<SV*>(globals_.format));
  SvREFCNT_dec(reinterpret_cast<SV*>(globals_.format_top));
  if (package_.empty() || in_main()) return;
  // The package goes with the script: its variables, and the subroutines of versions before.
  const std::size_t name = package_.rfind("::") + 2;
  if (HV* parent = gv_stashpvn(package_.data(), static_cast<U32>(name - 2), 0)) {
    const std::string key = package_.substr(name) + "::";
    (void)hv_delete(parent, key.data(), static_cast<I32>(key.size()), G_DISCARD);
  }
}

void Script::close_files() {
  // Those of the interpreter itself are in main.
  GV* const standard[] = {PL_stdingv, PL_stderrgv, gv_fetchpvs("STDOUT", GV_ADD, SVt_PVIO), PL_argvgv};
  each_open(package_, [this, &standard](GV* gv, IO* io) {
    if (std::ranges::find(standard, gv) != std::end(standard) || std::ranges::find(kept_open_, gv) != kept_open_.end())
      return;
    if (IoDIRP(io) != nullptr && (IoFLAGS(io) & IOf_FAKE_DIRP) == 0) {
      PerlDir_close(IoDIRP(io));
      IoDIRP(io) = nullptr;
    }
    if (IoIFP(io) != nullptr) Perl_do_close(aTHX_ gv, FALSE);
  });
}

void Script::begin() {
  lexicals_.begin();
  if (!data_) return;
  if (data_text_ == nullptr) data_text_ = newSVpvn(data_->data(), data_->size());
  GV* gv = gv_fetchpv((package_ + "::DATA").c_str(), GV_ADD, SVt_PVIO);
  SV* layers = newSVpv(utf8_ ? "<:utf8" : "<", 0);
  SV* from = newRV_inc(data_text_);
  (void)GvIOn(gv);
  const STRLEN size = SvCUR(layers);
  Perl_do_open6(aTHX_ gv, SvPVX(layers), size, nullptr, &from, 1);
  IoLINES(GvIOp(gv)) = 0;
  SvREFCNT_dec(from);
  SvREFCNT_dec(layers);
}

// Blocks of modules stay where they are: they run when the worker ends.
void Script::take_ends() {
  for (SSize_t i = 0; i < end_blocks();) {
    SV** block = av_fetch(PL_endav, i, 0);
    CV* cv = block == nullptr ? nullptr : reinterpret_cast<CV*>(*block);
    const std::string_view file = cv == nullptr || CvFILE(cv) == nullptr ? "" : CvFILE(cv);
    const bool of_text = top_ != nullptr && file.starts_with("(eval ");
    if (file != path_ && !of_text) {
      ++i;
      continue;
    }
    CV* kept = reinterpret_cast<CV*>(SvREFCNT_inc(*block));
    if (of_text) {
      ends_.insert(ends_.begin() + static_cast<std::ptrdiff_t>(of_texts_), kept);
      ++of_texts_;
    } else {
      ends_.push_back(kept);
    }
    // Perl keeps them in the order in which they run.
    for (SSize_t next = i; next + 1 < end_blocks(); ++next) {
      SV** following = av_fetch(PL_endav, next + 1, 0);
      av_store(PL_endav, next, SvREFCNT_inc(*following));
    }
    SvREFCNT_dec(av_pop(PL_endav));
  }
}

void Script::after() {
  for (; of_texts_ > 0; --of_texts_) {
    SvREFCNT_dec(reinterpret_cast<SV*>(ends_.front()));
    ends_.erase(ends_.begin());
  }
  lexicals_.end();
}

}  // namespace fivefold::perl
