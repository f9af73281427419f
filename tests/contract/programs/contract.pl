#!/usr/bin/perl
# The contract program as a CGI script of Perl's. README.md in the folder above says what each path does; every edition does the same.
use strict;
use warnings;
use Cwd ();
use Digest::SHA ();
use JSON::PP ();

$| = 1;
binmode STDIN;
binmode STDOUT;
my @path = split m{/}, (($ENV{PATH_INFO} // '') =~ s{^/+}{}r);
my %query = map { my ($name, $value) = split /=/, $_, 2; ($name, ($value // '') =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger) } grep { length } split /&/, $ENV{QUERY_STRING} // '';
my @length = length($query{length} // '') ? ("Content-Length: $query{length}") : ();

sub head { print join('', map { "$_\r\n" } @_), "\r\n" }
sub text { head('Content-Type: text/plain', @_) }

# Calls the subroutine with blocks of `size` bytes that are the same for everybody: the numbers 0, 1, 2... as eight hexadecimal digits.
sub pattern {
    my ($size, $take) = @_;
    for (my $at = 0; $at < $size; $at += 65536) {
        my $end = $at + 65536 < $size ? $at + 65536 : $size;
        $take->(substr join('', map { sprintf '%08x', $_ } $at / 8 .. int(($end + 7) / 8) - 1), 0, $end - $at);
    }
}

# The process id goes to the file that the request names, whole at once.
sub note_pid {
    return unless $query{pid};
    open my $file, '>', "$query{pid}.new" or die "$query{pid}.new: $!";
    print $file $$;
    close $file;
    rename "$query{pid}.new", $query{pid};
}

sub pause { select undef, undef, undef, $_[0] }

sub malformed {
    my %kinds = ('no-colon' => "this is no header\r\n\r\nbody\n", nothing => '', nul => "Content-Type: text/plain\r\nX-A: a\0b\r\n\r\nbody\n",
        large => 'X-A: ' . 'x' x 200_000 . "\r\n\r\nbody\n", half => "Content-Type: text/plain\r\nX-A: ",
        chunked => "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status => "Status: abc\r\n\r\n",
        split => "X-A: a\rSet-Cookie: forged=1\r\n\r\nbody\n");
    print $kinds{$path[1]};
}

sub redirect {
    my %kinds = (client => ['Location: http://elsewhere.example/x?y=z'], local => ['Location: /program/echo?from=local'], file => ['Location: /files/hello.txt'],
        loop => ['Location: /program/redirect/loop'], missing => ['Location: /files/missing']);
    return head(@{$kinds{$path[1]}}) if $kinds{$path[1]};
    head('Status: 307', 'Location: http://elsewhere.example/x', 'Content-Type: text/plain');
    print "moved\n";
}

my %answers = (
    echo => sub {
        head('Content-Type: application/json');
        print JSON::PP->new->ascii->encode({environment => {%ENV}, arguments => [@ARGV], directory => Cwd::getcwd()});
    },
    body => sub {
        my $data = do { local $/; <STDIN> } // '';
        head('Content-Type: application/octet-stream', 'Content-Length: ' . length $data, 'X-Content-Length: ' . ($ENV{CONTENT_LENGTH} // ''));
        print $data;
    },
    download => sub {
        head('Content-Type: application/octet-stream', exists $query{length} ? ("Content-Length: $query{bytes}") : ());
        pattern($query{bytes}, sub { print $_[0] });
    },
    upload => sub {
        my ($digest, $size) = (Digest::SHA->new(256), 0);
        while (read STDIN, my $block, 65536) {
            $digest->add($block);
            $size += length $block;
            pause($query{slow}) if $query{slow};
        }
        head('Content-Type: application/json');
        print JSON::PP->new->encode({sha256 => $digest->hexdigest, length => $size, content_length => $ENV{CONTENT_LENGTH}});
    },
    duplex => sub {
        head('Content-Type: application/octet-stream');
        while (sysread STDIN, my $block, 65536) { print $block }
    },
    'ignore-body' => sub { text(); print "not read\n" },
    slow => sub {
        text();
        for my $number (0 .. $query{lines} - 1) {
            print "line $number\n";
            pause($query{interval});
        }
    },
    status => sub { text("Status: $path[1]" . ($query{reason} ? " $query{reason}" : '')); print "status $path[1]\n" },
    'many-headers' => sub { text(map { "X-Number-$_: $_" } 0 .. $query{count} - 1); print "headers\n" },
    cookies => sub { text('Set-Cookie: a=1; Path=/', 'Set-Cookie: b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT'); print "cookies\n" },
    'crash-early' => sub { kill $query{signal} // 11, $$; sleep 5 },
    'crash-late' => sub {
        text(@length);
        print "the beginning\n";
        pause(0.1);
        kill 9, $$;
    },
    'exit-early' => sub { print STDERR "cannot go on\n"; exit $query{code} },
    'exit-late' => sub { text(@length); print "the beginning\n"; exit $query{code} },
    malformed => \&malformed,
    hang => sub {
        if ($path[-1] eq 'late') { text(); print "the beginning\n" }
        note_pid();
        sleep 60;
    },
    'flood-stderr' => sub {
        print STDERR "complaint $_ ", 'x' x 100, "\n" for 0 .. $query{lines} - 1;
        text();
        print "complained\n";
    },
    endless => sub { note_pid(); head('Content-Type: application/octet-stream'); print 'x' x 65536 while 1 },
    trickle => sub { note_pid(); text(); while (1) { print "tick\n"; pause(0.05) } },
    redirect => \&redirect,
    'no-content' => sub { head('Status: 204', 'X-A: b') },
    'not-modified' => sub { head('Status: 304', 'ETag: "x"', 'Content-Type: text/plain', 'Content-Length: 5'); print 'hello' },
    length => sub { text("Content-Length: $query{says}"); print 'x' x $query{sends} },
    sleep => sub { note_pid(); pause($query{seconds}); text(); print "slept $query{seconds}\n" },
);
$answers{$path[0]}->();
