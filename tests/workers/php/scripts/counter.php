<?php
class_exists('Counter') || eval('class Counter { public static int $count = 0; }');
echo ++Counter::$count;
