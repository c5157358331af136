"""Several teachers in one corpus are refused before any work."""


def test_the_command_refuses_them_before_it_makes_a_root(start_job, tmp_path):
    root = tmp_path / "root"
    arguments = ("world_mixed_teachers", "--set", "accepts_teachers=none", "--root", str(root))
    process = start_job(*arguments, before=("-m", "jobs.run"))
    _, err = process.communicate()
    assert process.returncode == 1 and not root.exists()
    assert "world_mixed_teachers mixes teachers (world, world)" in err and err.count("\n") == 1
