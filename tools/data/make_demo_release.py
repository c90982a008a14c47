"""Write the synthetic dataset."""
from gaie_mmaction.synthetic.release import main

if __name__ == '__main__':
    main()
