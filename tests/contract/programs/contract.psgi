# The contract program as a PSGI application. README.md in the folder above says what each path does; every edition does the same.
use strict;
use warnings;
use Cwd ();
use Digest::SHA ();
use JSON::PP ();

# What the current block of `size` bytes is that are the same for everybody: the numbers 0, 1, 2... as eight hexadecimal digits.
package Pattern {
    sub new { my ($class, $size) = @_; bless {at => 0, size => $size}, $class }
    sub getline {
        my $self = shift;
        my $at = $self->{at};
        return if $at >= $self->{size};
        my $end = $self->{at} = $at + 65536 < $self->{size} ? $at + 65536 : $self->{size};
        return substr join('', map { sprintf '%08x', $_ } $at / 8 .. int(($end + 7) / 8) - 1), 0, $end - $at;
    }
    sub close { }
}

sub pause { select undef, undef, undef, $_[0] }

# The process id goes to the file that the request names, whole at once.
sub note_pid {
    my $to = shift or return;
    open my $file, '>', "$to.new" or die "$to.new: $!";
    print $file $$;
    close $file;
    rename "$to.new", $to;
}

sub streamed { my ($code, @head) = @_; sub { my $writer = $_[0]->([200, [@head ? @head : ('Content-Type' => 'text/plain')]]); $code->($writer); $writer->close } }

my %answers = (
    echo => sub {
        my ($env) = @_;
        my %environment = map { ($_ => "$env->{$_}") } grep { !/^psgi/ && !ref $env->{$_} } keys %$env;
        my $answer = JSON::PP->new->ascii->encode({environment => \%environment, arguments => [], directory => Cwd::getcwd()});
        open my $file, '<', \$answer;     # no list of one: its length differs with the method in it
        return [200, ['Content-Type' => 'application/json'], $file];
    },
    body => sub {
        my ($env) = @_;
        my $data = '';
        1 while $env->{'psgi.input'}->read($data, 65536, length $data);
        return [200, ['Content-Type' => 'application/octet-stream', 'Content-Length' => length $data, 'X-Content-Length' => $env->{CONTENT_LENGTH} // ''], [$data]];
    },
    download => sub {
        my ($env, $query) = @_;
        return [200, ['Content-Type' => 'application/octet-stream', exists $query->{length} ? ('Content-Length' => $query->{bytes}) : ()], Pattern->new($query->{bytes})];
    },
    upload => sub {
        my ($env, $query) = @_;
        my ($digest, $size) = (Digest::SHA->new(256), 0);
        while ($env->{'psgi.input'}->read(my $block, 65536)) {
            $digest->add($block);
            $size += length $block;
            pause($query->{slow}) if $query->{slow};
        }
        return [200, ['Content-Type' => 'application/json'],
            [JSON::PP->new->encode({sha256 => $digest->hexdigest, length => $size, content_length => $env->{CONTENT_LENGTH}})]];
    },
    duplex => sub { my ($env) = @_; streamed(sub { while ($env->{'psgi.input'}->read(my $block, 65536)) { $_[0]->write($block) } }, 'Content-Type' => 'application/octet-stream') },
    'ignore-body' => sub { [200, ['Content-Type' => 'text/plain'], ["not read\n"]] },
    slow => sub { my ($env, $query) = @_; streamed(sub { for my $number (0 .. $query->{lines} - 1) { $_[0]->write("line $number\n"); pause($query->{interval}) } }) },
    status => sub { my ($env, $query, $status) = @_; [$status, ['Content-Type' => 'text/plain'], ["status $status\n"]] },
    'many-headers' => sub { my ($env, $query) = @_; [200, ['Content-Type' => 'text/plain', map { ("X-Number-$_" => $_) } 0 .. $query->{count} - 1], ["headers\n"]] },
    cookies => sub { [200, ['Content-Type' => 'text/plain', 'Set-Cookie' => 'a=1; Path=/', 'Set-Cookie' => 'b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT'], ["cookies\n"]] },
    'crash-early' => sub { my ($env, $query) = @_; kill $query->{signal} // 11, $$; sleep 5; die "still here\n" },
    'crash-late' => sub {
        my ($env, $query) = @_;
        streamed(sub { $_[0]->write("the beginning\n"); pause(0.1); kill 9, $$ }, 'Content-Type' => 'text/plain', length($query->{length} // '') ? ('Content-Length' => $query->{length}) : ());
    },
    'exit-early' => sub { die "cannot go on\n" },
    hang => sub {
        my ($env, $query, $when) = @_;
        return streamed(sub { $_[0]->write("the beginning\n"); note_pid($query->{pid}); sleep 60 }) if $when eq 'late';
        note_pid($query->{pid});
        sleep 60;
    },
    'flood-stderr' => sub {
        my ($env, $query) = @_;
        $env->{'psgi.errors'}->print("complaint $_ " . 'x' x 100 . "\n") for 0 .. $query->{lines} - 1;
        return [200, ['Content-Type' => 'text/plain'], ["complained\n"]];
    },
    endless => sub { my ($env, $query) = @_; note_pid($query->{pid}); streamed(sub { $_[0]->write('x' x 65536) while 1 }) },
    trickle => sub { my ($env, $query) = @_; note_pid($query->{pid}); streamed(sub { while (1) { $_[0]->write("tick\n"); pause(0.05) } }) },
    redirect => sub {
        my ($env, $query, $kind) = @_;
        return [302, [Location => 'http://elsewhere.example/x?y=z'], []] if $kind eq 'client';
        return [307, [Location => 'http://elsewhere.example/x', 'Content-Type' => 'text/plain'], ["moved\n"]];
    },
    'no-content' => sub { [204, ['X-A' => 'b'], []] },
    'not-modified' => sub { [304, [ETag => '"x"', 'Content-Type' => 'text/plain', 'Content-Length' => 5], ['hello']] },
    length => sub { my ($env, $query) = @_; [200, ['Content-Type' => 'text/plain', 'Content-Length' => $query->{says}], ['x' x $query->{sends}]] },
    sleep => sub { my ($env, $query) = @_; note_pid($query->{pid}); pause($query->{seconds}); [200, ['Content-Type' => 'text/plain'], ["slept $query->{seconds}\n"]] },
);

sub {
    my ($env) = @_;
    my (undef, $kind, $more) = split m{/}, $env->{PATH_INFO};
    my %query = map { my ($name, $value) = split /=/, $_, 2; ($name, ($value // '') =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger) } grep { length } split /&/, $env->{QUERY_STRING};
    return ($answers{$kind // ''} || sub { [404, ['Content-Type' => 'text/plain'], []] })->($env, \%query, $more);
};
