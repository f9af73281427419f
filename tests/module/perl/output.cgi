#!/usr/bin/perl
# Every way to print.
use strict;
use warnings;
use feature 'say';
use IO::Handle;
my $how = $ENV{QUERY_STRING};
print "Content-Type: text/plain\r\nX-How: $how\r\n\r\n";
if ($how eq 'select') { open my $null, '>', '/dev/null'; my $old = select $null; print "lost\n"; select $old; print "back\n"; select((select(STDOUT), $| = 1)[0]); print ref \$old, "\n" }
elsif ($how eq 'syswrite') { STDOUT->flush; syswrite STDOUT, "raw\n"; print "buffered\n"; STDOUT->flush; syswrite STDOUT, "xrawx\n", 4, 1 }
elsif ($how eq 'variables') { local ($,, $\) = ('-', "!\n"); print 1, 2, 3; say 4, 5; local $" = ':'; my @l = (1, 2); print "@l" }
elsif ($how eq 'printf') { printf "%05.2f|%-5s|%x|%vd\n", 3.14159, 'ab', 255, '1.22.333'; STDOUT->printf("%s\n", 'method') }
elsif ($how eq 'pipe') { open my $pipe, '|-', 'tr', 'a-z', 'A-Z' or die; print $pipe "through a pipe\n"; close $pipe; print "status $?\n"; open my $from, '-|', 'echo from; exit 3' or die; print <$from>; close $from; print $? >> 8, "\n" }
elsif ($how eq 'filter') { STDOUT->flush; open STDOUT, '| tr a-z A-Z' or die; print "all of this\n"; close STDOUT }
elsif ($how eq 'fork-open') { my $pid = open my $kid, '-|'; defined $pid or die; if (!$pid) { print "in the child\n"; exit 3 } print "parent: ", <$kid>; close $kid; print $? >> 8, "\n" }
elsif ($how eq 'dup') { open my $copy, '>&', \*STDOUT or die; $copy->autoflush; STDOUT->flush; print $copy "copy\n"; close $copy; print "own\n" }
elsif ($how eq 'errors') { open STDERR, '>&', \*STDOUT or die; STDERR->autoflush; STDOUT->autoflush; print "out\n"; print STDERR "err\n"; warn "warned\n"; system 'echo child >&2' }
elsif ($how eq 'string') { my $text = ''; { local *STDOUT; open STDOUT, '>', \$text or die; print 'inside' } print "caught $text\n" }
elsif ($how eq 'binary') { binmode STDOUT; print pack 'C*', 0 .. 255 }
elsif ($how eq 'wide') { binmode STDOUT, ':encoding(UTF-8)'; print "\x{20ac}\x{1f600}\n" }
elsif ($how eq 'wide-warning') { print "\x{20ac}\n" }
elsif ($how eq 'large') { print 'x' x 1000, "\n" for 1 .. 3000 }
elsif ($how eq 'one-large') { print 'y' x 3_000_000 }
elsif ($how eq 'system') { print "one\n"; system 'echo two'; print "three\n"; print `echo four; echo hidden >&2`; my @l = qx(seq 3); print @l, $?, "\n"; system '/nonexistent/command'; print $? == -1 ? "failed\n" : "$?\n"; print system('exit 3') >> 8, "\n" }
elsif ($how eq 'system-flush') { $| = 1; print "one\n"; system 'echo two'; print "three\n"; system 'sh', '-c', 'echo "$0 $1"', 'a b' }
elsif ($how eq 'open2') { require IPC::Open2; my $pid = IPC::Open2::open2(my $out, my $in, 'sort'); print $in "b\na\n"; close $in; print <$out>; waitpid $pid, 0; print $?, "\n" }
elsif ($how eq 'open3') { require IPC::Open3; require Symbol; my $pid = IPC::Open3::open3(my $in, my $out, my $err = Symbol::gensym(), 'echo out; echo err >&2'); close $in; print <$out>, <$err>; waitpid $pid, 0 }
elsif ($how eq 'closed') { close STDOUT; no warnings; print "nobody hears\n"; open my $f, '<', '/etc/hostname'; print STDERR fileno($f) < 3 ? "low\n" : "high\n" }
elsif ($how eq 'tie') { package Loud { sub TIEHANDLE { bless [], shift } sub PRINT { my $self = shift; push @$self, uc join $, // '', @_; 1 } sub PRINTF { my $self = shift; $self->PRINT(sprintf shift, @_) } } tie *STDOUT, 'Loud'; print "shout\n"; printf "%s\n", 'loud'; my @kept = @{tied *STDOUT}; untie *STDOUT; print @kept }
elsif ($how eq 'still-tied') { package Kept { sub TIEHANDLE { bless [], shift } sub PRINT { 1 } } tie *STDOUT, 'Kept'; print "swallowed\n" }
elsif ($how eq 'fileno') { print join(' ', fileno STDIN, fileno STDOUT, fileno STDERR, -t STDOUT ? 1 : 0, -t STDIN ? 1 : 0), "\n" }
elsif ($how eq 'seek') { print defined(tell STDOUT) ? "told\n" : "no\n"; print seek(STDOUT, 0, 0) ? "sought\n" : "cannot\n" }
